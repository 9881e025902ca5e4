"""HTTP/1.1 over Twisted, both sides; knows no registry."""
