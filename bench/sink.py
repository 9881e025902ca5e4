"""
An upstream that takes uploads and forgets them: ``python -m bench.sink``.

One thread for each connection, TLS as it is done by OpenSSL alone. With a rate it reads
no faster than that: what a proxy then holds is what it has read ahead.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import threading
import time

HEAD_END = b"\r\n\r\n"
PIECE = 256 * 1024


def answer(connection: ssl.SSLSocket, rate: float) -> None:
    """Take requests off a connection until it ends."""
    data = b""
    buffer = memoryview(bytearray(PIECE))
    while True:
        while HEAD_END not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        head, _, data = data.partition(HEAD_END)
        lines = head.decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(":", 1) for line in lines[1:])
        if "100-continue" in headers.get("expect", ""):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "transfer-encoding" in headers:
            while not data.endswith(b"0\r\n\r\n"):
                more = connection.recv(PIECE)
                if not more:
                    return
                data = data[-8:] + more
            data = b""
        else:
            left = int(headers.get("content-length", "0")) - len(data)
            data = b""
            while left > 0:
                count = connection.recv_into(buffer, min(left, PIECE))
                if not count:
                    return
                left -= count
                if rate:
                    time.sleep(count / rate)
        connection.sendall(
            b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n"
            b"Location: /v2/acme_team/app/blobs/uploads/1\r\nRange: 0-0\r\n\r\n"
        )


def serve(connection: socket.socket, context: ssl.SSLContext, rate: float) -> None:
    """Answer on one connection; one that breaks off is over, and that is all."""
    try:
        with context.wrap_socket(connection, server_side=True) as secured:
            answer(secured, rate)
    except OSError:
        pass


def main() -> None:
    """Listen, say where, and serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("--rate", type=float, default=0, help="bytes per second")
    arguments = parser.parse_args()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(arguments.certificate, arguments.key)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        if arguments.rate:
            # what the kernel holds is not to be taken for what was read
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        print(f"listening on {listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(
                target=serve, args=(connection, context, arguments.rate), daemon=True
            ).start()


if __name__ == "__main__":
    main()
