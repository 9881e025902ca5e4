"""Sockets that clients connect to: opened, shared, handed over, limited."""
