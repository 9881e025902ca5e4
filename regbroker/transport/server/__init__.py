"""The server's side of HTTP/1.1: a client's connection, its requests and replies."""
