"""What is on the wire, as pure functions and values."""
