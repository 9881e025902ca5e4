"""A token server as a hosted registry has one, on a port of its own.

It follows the Distribution project's token and OAuth2 specifications: GET with Basic,
POST with a password or a refresh token, and less access than asked for rather than an
error. It knows upstream names only, and remembers what it was asked.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .certificates import Authority
from .signing import sign_token
from .threaded import TlsServer

ISSUER = "upstream token issuer"
SERVICE = "upstream registry"
HOLD_SECONDS = 30.0
"""A request that the test holds back is let go after this at the latest."""


@dataclass(frozen=True)
class User:
    """A password, and actions by pattern of UPSTREAM repository names."""

    password: str
    rights: Mapping[str, frozenset[str]] = field(default_factory=dict)
    catalog: bool = False


@dataclass(frozen=True)
class TokenRequest:
    """What the token server was asked, and what it answered.

    `secret` is the password or the refresh token that it was asked with.
    """

    method: str
    user: str
    grant: str
    service: str
    scopes: tuple[str, ...]
    offline: bool
    secret: str = ""
    status: int = 0


@dataclass(frozen=True)
class Refusal:
    """An answer given instead of a token, whatever was asked."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


class TokenServer:
    """Answers `https://127.0.0.1:PORT/token` until it is stopped.

    The user `""` is whoever brings no credentials.
    """

    def __init__(
        self,
        authority: Authority,
        users: Mapping[str, User],
        lifetime: int = 300,
        issuer: str = ISSUER,
    ) -> None:
        self.users = dict(users)
        self.lifetime = lifetime
        self.refuse_post: int | None = None
        self.refusal: Refusal | None = None
        self.release = threading.Event()
        self.release.set()
        self.issued: list[str] = []
        self._requests: list[TokenRequest] = []
        self._refresh_tokens: dict[str, str] = {}
        self._lock = threading.Lock()
        self._issuer = issuer
        self._signer = authority.issue_signer(issuer)

        class Handler(_TokenHandler):
            server_state = self

        pair = authority.issue("127.0.0.1", "localhost")
        self._server = TlsServer(pair, Handler)
        self.port = self._server.port

    @property
    def realm(self) -> str:
        """Where the registry's challenge sends clients."""
        return f"https://127.0.0.1:{self.port}/token"

    def stop(self) -> None:
        """Let held requests go, close every connection, stop listening."""
        self.release.set()
        self._server.stop()

    def hold(self) -> None:
        """Keep requests waiting from now on, until `release.set()`."""
        self.release.clear()

    def requests(self) -> list[TokenRequest]:
        """Every request so far, oldest first; those held back are among them."""
        with self._lock:
            return list(self._requests)

    def scopes(self) -> list[str]:
        """Every scope asked for so far."""
        return [scope for request in self.requests() for scope in request.scopes]

    def refresh_token_for(self, user: str) -> str:
        """A refresh token, as an earlier login would have brought."""
        with self._lock:
            token = f"refresh-{secrets.token_urlsafe(24)}"
            self._refresh_tokens[token] = user
            self.issued.append(token)
            return token

    def revoke_refresh_tokens(self) -> None:
        """Make every refresh token given out so far worthless."""
        with self._lock:
            self._refresh_tokens.clear()

    def user_of_refresh_token(self, token: str) -> str | None:
        """Whose refresh token this is."""
        with self._lock:
            return self._refresh_tokens.get(token)

    def password_fits(self, user: str, password: str) -> bool:
        """Whether such a user has such a password."""
        known = self.users.get(user)
        return bool(user) and known is not None and known.password == password

    def record(self, request: TokenRequest) -> int:
        """Remember a request; the index to give its status under, later."""
        with self._lock:
            self._requests.append(request)
            return len(self._requests) - 1

    def record_status(self, index: int, status: int) -> None:
        """Remember how a request was answered."""
        with self._lock:
            self._requests[index] = replace(self._requests[index], status=status)

    def grant(self, request: TokenRequest) -> tuple[str, list[str]]:
        """A token for the part of the request that the user has a right to."""
        access = self._granted(request.user, request.scopes)
        token = sign_token(
            self._signer,
            issuer=self._issuer,
            audience=request.service,
            subject=request.user,
            lifetime=self.lifetime,
            access=access,
        )
        with self._lock:
            self.issued.append(token)
        scopes = [
            f"{entry['type']}:{entry['name']}:{','.join(entry['actions'])}"
            for entry in access
        ]
        return token, scopes

    def _granted(self, name: str, scopes: Sequence[str]) -> list[dict[str, Any]]:
        user = self.users.get(name, User(""))
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            repository, _, asked = rest.rpartition(":")
            if kind == "registry" and repository == "catalog" and user.catalog:
                actions = asked.split(",")
            elif kind == "repository":
                allowed: set[str] = set()
                for pattern, rights in user.rights.items():
                    if fnmatchcase(repository, pattern):
                        allowed |= rights
                actions = [action for action in asked.split(",") if action in allowed]
            else:
                actions = []
            if actions:
                access.append({"type": kind, "name": repository, "actions": actions})
        return access


class _TokenHandler(BaseHTTPRequestHandler):
    """One connection to the token server."""

    protocol_version = "HTTP/1.1"
    server_state: TokenServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        credentials = _basic(self.headers.get("Authorization", ""))
        user, password = credentials or ("", "")
        self._answer(
            url.path,
            TokenRequest(
                "GET",
                user,
                "",
                _first(query, "service"),
                _scopes(query),
                _first(query, "offline_token") in ("true", "1"),
                password,
            ),
            credentials is None or self.server_state.password_fits(user, password),
        )

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        form = parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)
        grant = _first(form, "grant_type")
        if grant == "refresh_token":
            known = self.server_state.user_of_refresh_token(
                _first(form, "refresh_token")
            )
            user, accepted = known or "", known is not None
        else:
            user = _first(form, "username")
            accepted = grant == "password" and self.server_state.password_fits(
                user, _first(form, "password")
            )
        self._answer(
            urlsplit(self.path).path,
            TokenRequest(
                "POST",
                user,
                grant,
                _first(form, "service"),
                _scopes(form),
                _first(form, "access_type") == "offline",
                _first(form, "refresh_token") or _first(form, "password"),
            ),
            accepted,
        )

    def _answer(self, path: str, request: TokenRequest, accepted: bool) -> None:
        state = self.server_state
        index = state.record(request)
        state.release.wait(HOLD_SECONDS)
        refusal = state.refusal
        if refusal is None and request.method == "POST" and state.refuse_post:
            refusal = Refusal(state.refuse_post)
        if refusal is None and path != "/token":
            refusal = Refusal(404)
        if refusal is None and not accepted:
            refusal = Refusal(401)
        if refusal is not None:
            names = ", ".join(_repositories(request.scopes)) or "nothing"
            message = f"no token for {names}"
            error = {"code": "UNAUTHORIZED", "message": message, "detail": None}
            state.record_status(index, refusal.status)
            self._reply(refusal.status, {"errors": [error]}, refusal.headers)
            return
        token, scopes = state.grant(request)
        body: dict[str, Any] = {
            "access_token": token,
            "expires_in": state.lifetime,
            "issued_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        if request.method == "GET":
            body["token"] = token
        else:
            body["scope"] = " ".join(scopes)
        if request.offline and request.user:
            body["refresh_token"] = state.refresh_token_for(request.user)
        state.record_status(index, 200)
        self._reply(200, body, {})

    def _reply(self, status: int, body: object, headers: Mapping[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status, HTTPStatus(status).phrase)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are recorded."""


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _first(form: Mapping[str, Sequence[str]], name: str) -> str:
    return form.get(name, [""])[0]


def _scopes(form: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(scope for value in form.get("scope", []) for scope in value.split())


def _repositories(scopes: Sequence[str]) -> list[str]:
    return [scope.split(":", 1)[1].rpartition(":")[0] for scope in scopes]
