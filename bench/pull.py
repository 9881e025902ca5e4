"""
Clients that pull as docker does: ``python -m bench.pull PORT ROOT``.

Each asks for the ping, a token, the manifest by tag (HEAD, then GET), and its layers,
three at a time, over connections that stay open. Prints the seconds that it took, as a
line ``seconds …``.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

#: docker's max-concurrent-downloads
AT_ONCE = 3

MANIFEST = "/v2/team/app/manifests/1.0"
SCOPE = "repository:team/app:pull"


class Client:
    """One machine that pulls; each of its threads has a connection of its own."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port = port
        self._context = context
        self._connections = threading.local()
        self._opened: list[http.client.HTTPConnection] = []
        self._headers: dict[str, str] = {}

    def pull(self) -> None:
        """Pull the image; whatever is not as it should be is an error."""
        status, headers, _ = self._ask("GET", "/v2/")
        assert status == 401, status
        realm = re.findall(r'realm="([^"]*)"', headers["WWW-Authenticate"])[0]
        query = urlencode({"service": "up", "scope": SCOPE})
        status, _, body = self._ask("GET", f"{urlsplit(realm).path}?{query}")
        assert status == 200, status
        self._headers["Authorization"] = f"Bearer {json.loads(body)['token']}"
        for method in ("HEAD", "GET"):
            status, _, body = self._ask(method, MANIFEST)
            assert status == 200, status
        layers = json.loads(body)["layers"]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for layer, size in zip(
                layers, threads.map(self._layer, layers), strict=True
            ):
                assert size == layer["size"], (size, layer)
        for connection in self._opened:
            connection.close()

    def _layer(self, layer: dict[str, str]) -> int:
        status, _, body = self._ask("GET", f"/v2/team/app/blobs/{layer['digest']}")
        assert status == 200, status
        return len(body)

    def _ask(
        self, method: str, target: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = getattr(self._connections, "one", None)
        if connection is None:
            connection = http.client.HTTPSConnection(
                "localhost", self._port, context=self._context, timeout=120
            )
            self._connections.one = connection
            self._opened.append(connection)
        connection.request(method, target, headers=self._headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def main() -> None:
    """Pull as often, and with as many clients at once, as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("root", help="the authority's certificate")
    parser.add_argument("--clients", type=int, default=1)
    arguments = parser.parse_args()
    context = ssl.create_default_context(cafile=arguments.root)
    clients = [Client(arguments.port, context) for _ in range(arguments.clients)]
    began = time.monotonic()
    with ThreadPoolExecutor(len(clients)) as threads:
        for done in [threads.submit(client.pull) for client in clients]:
            done.result()
    print(f"seconds {time.monotonic() - began:.3f}")


if __name__ == "__main__":
    main()
