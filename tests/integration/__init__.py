"""regbroker between real registries and real clients."""
