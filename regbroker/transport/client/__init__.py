"""The client's side of HTTP/1.1: connections to one upstream, requests and replies."""
