"""
Clients that connect and then say nothing: ``python -m bench.idle PORT ROOT COUNT``.

Each has asked one question, so that its TLS is whole. Prints ``connected``, and stays
until its standard input ends.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import sys

REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n"


def main() -> None:
    """Connect, say so, and wait."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("root", help="the authority's certificate")
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    context = ssl.create_default_context(cafile=arguments.root)
    connections = []
    for _ in range(arguments.count):
        plain = socket.create_connection(("127.0.0.1", arguments.port))
        secured = context.wrap_socket(plain, server_hostname="localhost")
        secured.sendall(REQUEST)
        if not secured.recv(65536).startswith(b"HTTP/1.1 401"):
            raise AssertionError("the ping is not answered with 401")
        connections.append(secured)
    print("connected", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
