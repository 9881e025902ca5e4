"""What clients see: the site, the /v2 proxy and the token endpoint."""
