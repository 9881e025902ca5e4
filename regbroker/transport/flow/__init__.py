"""Bytes between a producer and a socket: how many wait, and when they are written."""
