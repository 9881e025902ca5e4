"""Discovery and keys over TLS, as GitHub, GitLab and Kubernetes serve them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .certificates import Authority
from .small_server import SmallHandler
from .threaded import TlsServer

#: Where each of them has its keys, below its issuer.
GITHUB_KEYS = "/.well-known/jwks"
GITLAB_KEYS = "/oauth/discovery/keys"
KUBERNETES_KEYS = "/openid/v1/jwks"


class IssuerServer:
    """
    An issuer at a loopback port; `requests` are the paths that were asked for.

    `keys_host` is the host that its discovery says the keys are at: a cluster's API
    server says the address that it has inside.
    """

    def __init__(
        self, authority: Authority, keys_path: str, keys_host: str = ""
    ) -> None:
        self.requests: list[str] = []
        self.keys: Sequence[Mapping[str, Any]] = ()

        class Handler(SmallHandler):
            def do_GET(handler) -> None:
                self.requests.append(handler.path)
                document = self._document(handler.path)
                if document is None:
                    handler._reply(404, {}, b"")
                    return
                headers = {
                    "Content-Type": "application/json",
                    "Cache-Control": "public, max-age=3600",
                }
                handler._reply(200, headers, json.dumps(document).encode())

        self._server = TlsServer(authority.issue("localhost", "127.0.0.1"), Handler)
        self.issuer = f"https://localhost:{self._server.port}"
        self._keys_path = keys_path
        host = keys_host or f"localhost:{self._server.port}"
        self._keys_url = f"https://{host}{keys_path}"

    @property
    def keys_url(self) -> str:
        """Where the keys really are."""
        return f"{self.issuer}{self._keys_path}"

    def stop(self) -> None:
        """Stop listening; harmless when stopped."""
        self._server.stop()

    def _document(self, path: str) -> Mapping[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.issuer,
                "jwks_uri": self._keys_url,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        return {"keys": list(self.keys)} if path == self._keys_path else None
