"""``regbroker token``: robot tokens are made, listed and revoked."""
