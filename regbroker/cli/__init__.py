"""The `regbroker` command."""
