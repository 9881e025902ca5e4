"""The ini file becomes one frozen `Config`."""
