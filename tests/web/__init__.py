"""What clients see: one file for each module of `regbroker.web`."""
