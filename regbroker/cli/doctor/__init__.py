"""``regbroker doctor``: asks as a client does, step by step, and says what is wrong."""
