"""Bodies that are passed on between a client and an upstream, both ways."""
