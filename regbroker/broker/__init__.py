"""The token services that clients are sent to."""
