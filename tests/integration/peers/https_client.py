"""A client that shows every byte of a reply, and adds nothing of its own."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from .token_server import SERVICE
from .transcript import Transcript

REPLY_SECONDS = 60.0


@dataclass(frozen=True)
class Reply:
    """A whole reply; header names keep their case and order."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that must be there exactly once."""
        values = self.all(name)
        if len(values) != 1:
            raise AssertionError(f"{name} is not there once: {self}")
        return values[0]

    def json(self) -> Any:
        """The body, which must say that it is JSON."""
        if not self.one("Content-Type").startswith("application/json"):
            raise AssertionError(f"not JSON: {self}")
        return json.loads(self.body)

    def error_codes(self) -> list[str]:
        """The codes of an OCI error body."""
        return [error["code"] for error in self.json()["errors"]]

    def challenge(self) -> dict[str, str]:
        """The parameters of the one Bearer challenge.

        The actions of a scope are sorted: docker-registry has them in any order.
        """
        scheme, _, parameters = self.one("WWW-Authenticate").partition(" ")
        if scheme != "Bearer":
            raise AssertionError(f"not a Bearer challenge: {self}")
        found = dict(re.findall(r'(\w+)="([^"]*)"', parameters))
        if "scope" in found:
            found["scope"] = " ".join(map(_in_order, found["scope"].split()))
        return found

    def location(self) -> str:
        """Path and query of the Location."""
        parts = urlsplit(self.one("Location"))
        return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _in_order(scope: str) -> str:
    name, _, actions = scope.rpartition(":")
    return f"{name}:{','.join(sorted(actions.split(',')))}"


class HttpsClient:
    """Sends raw requests to `localhost`, each on a connection of its own.

    `address` is where its connections come from: any in 127.0.0.0/8.
    """

    def __init__(
        self,
        port: int,
        authority_pem: bytes,
        transcript: Transcript,
        address: str = "127.0.0.1",
    ) -> None:
        self.port = port
        self.host = f"localhost:{port}"
        self.context = ssl.create_default_context(cadata=authority_pem.decode())
        self.address = address
        self._transcript = transcript

    def connect(self) -> http.client.HTTPConnection:
        """A new connection, not open yet."""
        return http.client.HTTPSConnection(
            "localhost",
            self.port,
            context=self.context,
            timeout=REPLY_SECONDS,
            source_address=(self.address, 0),
        )

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Send one request, its target unchanged, and read the whole reply."""
        connection = self.connect()
        try:
            connection.request(method, target, body, dict(headers or {}))
            response = connection.getresponse()
            reply = Reply(
                response.status, tuple(response.getheaders()), response.read()
            )
        finally:
            connection.close()
        head = "\n".join(f"{name}: {value}" for name, value in reply.headers)
        text = f"{reply.status}\n{head}\n\n{reply.body.decode('latin-1')}"
        self._transcript.add(f"the reply to {method} {target}", text)
        return reply

    def get_token(
        self, path: str, user: str, password: str, *scopes: str, **parameters: str
    ) -> Reply:
        """Ask for a token with GET and Basic; without a user, anonymously."""
        query = [*({"service": SERVICE} | parameters).items()]
        query += [("scope", scope) for scope in scopes]
        headers = {"Authorization": basic(user, password)} if user else {}
        return self.request("GET", f"{path}?{urlencode(query)}", headers)

    def post_token(self, path: str, **form: str) -> Reply:
        """Ask for a token with an OAuth2 form."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"service": SERVICE, "client_id": "tests"} | form).encode()
        return self.request("POST", path, headers, body)


class BalancerClient(HttpsClient):
    """The hop in front, which has ended TLS, or passes it through with `tls`.

    `preamble` is what each connection begins with: a PROXY line.
    """

    preamble = b""
    tls = False

    def connect(self) -> http.client.HTTPConnection:
        connection = _PlainConnection(
            "127.0.0.1",
            self.port,
            timeout=REPLY_SECONDS,
            source_address=(self.address, 0),
        )
        connection.preamble = self.preamble
        connection.context = self.context if self.tls else None
        return connection


class _PlainConnection(http.client.HTTPConnection):
    preamble = b""
    context: ssl.SSLContext | None = None

    def connect(self) -> None:
        super().connect()
        if self.preamble:
            self.sock.sendall(self.preamble)
        if self.context is not None:
            self.sock = self.context.wrap_socket(self.sock, server_hostname="localhost")


def basic(user: str, password: str) -> str:
    """An Authorization value for Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(token: str) -> dict[str, str]:
    """The Authorization header for a token."""
    return {"Authorization": f"Bearer {token}"}
