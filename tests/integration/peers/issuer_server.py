"""Discovery and keys over TLS, as GitHub, GitLab and Kubernetes serve them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from io import BufferedIOBase
from typing import Any

from .certificates import Authority, Pair
from .small_server import SmallHandler
from .threaded import TlsServer

#: Where each of them has its keys, below its issuer.
GITHUB_KEYS = "/.well-known/jwks"
GITLAB_KEYS = "/oauth/discovery/keys"
KUBERNETES_KEYS = "/openid/v1/jwks"

DISCOVERY = "/.well-known/openid-configuration"


class IssuerServer:
    """
    An issuer at a loopback port; `requests` are the paths that were asked for.

    `keys_host` is the host that its discovery says the keys are at: a cluster's API
    server says the address that it has inside. Each path in `held` is answered when
    `release` is called; each in `dripping` byte by byte, with so many seconds after
    each. `broken_off` are the paths of answers that nobody waited for to their end.
    `pair` is its certificate, by default a good one. `padding` bytes follow its keys.
    """

    def __init__(
        self,
        authority: Authority,
        keys_path: str,
        keys_host: str = "",
        pair: Pair | None = None,
    ) -> None:
        self.requests: list[str] = []
        self.keys: Sequence[Mapping[str, Any]] = ()
        self.held: set[str] = set()
        self.dripping: dict[str, float] = {}
        self.broken_off: list[str] = []
        self.padding = 0
        self._released = threading.Event()
        self._pair = pair or authority.issue("localhost", "127.0.0.1")

        class Handler(SmallHandler):
            def do_GET(handler) -> None:
                self.requests.append(handler.path)
                if handler.path in self.held:
                    self._released.wait()
                document = self._document(handler.path)
                if handler.path in self.dripping:
                    handler.wfile = _Dripping(  # type: ignore[assignment]
                        handler.wfile, self.dripping[handler.path]
                    )
                try:
                    self._answer(handler, document)
                except OSError:
                    self.broken_off.append(handler.path)
                    handler.close_connection = True

        self._handler = Handler
        self._server = TlsServer(self._pair, Handler)
        self.port = self._server.port
        self.issuer = f"https://localhost:{self.port}"
        self._keys_path = keys_path
        host = keys_host or f"localhost:{self.port}"
        self._keys_url = f"https://{host}{keys_path}"

    @property
    def keys_url(self) -> str:
        """Where the keys really are."""
        return f"{self.issuer}{self._keys_path}"

    def release(self) -> None:
        """Answer what is held, and hold nothing any more."""
        self.held.clear()
        self._released.set()

    def hold(self, *paths: str) -> None:
        """Answer these paths later."""
        self._released.clear()
        self.held.update(paths)

    def stop(self) -> None:
        """Stop listening; harmless when stopped."""
        self.release()
        self._server.stop()

    def start(self) -> None:
        """Listen again, at the same port."""
        self._server = TlsServer(self._pair, self._handler, self.port)

    def _answer(
        self, handler: SmallHandler, document: Mapping[str, Any] | None
    ) -> None:
        if document is None:
            handler._reply(404, {}, b"")
            return
        headers = {
            "Content-Type": "application/json",
            "Cache-Control": "public, max-age=3600",
        }
        padding = b" " * (self.padding if "keys" in document else 0)
        handler._reply(200, headers, json.dumps(document).encode() + padding)

    def _document(self, path: str) -> Mapping[str, Any] | None:
        if path == DISCOVERY:
            return {
                "issuer": self.issuer,
                "jwks_uri": self._keys_url,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        return {"keys": list(self.keys)} if path == self._keys_path else None


class _Dripping:
    """What is written goes out byte by byte."""

    closed = False

    def __init__(self, file: BufferedIOBase, seconds: float) -> None:
        self._file = file
        self._seconds = seconds

    def write(self, data: bytes) -> int:
        """Write with a pause after each byte."""
        for number in range(len(data)):
            self._file.write(data[number : number + 1])
            self._file.flush()
            time.sleep(self._seconds)
        return len(data)

    def flush(self) -> None:
        """Nothing is left."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
