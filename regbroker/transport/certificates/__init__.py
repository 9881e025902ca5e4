"""Certificates and keys: read from files, looked at, picked for a client."""
