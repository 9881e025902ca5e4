"""What the operator sees of the running process: health, metrics, the status page."""
