"""A front before a registry that can fail in every way, and come back.

It ends TLS, as balancers do, and remembers every request. What it does with them the
test says, at any time; requests on connections that are open already count, too.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from tests.habits import Manners
from tests.listing import Listing

from .certificates import Authority
from .small_server import SmallHandler
from .threaded import TlsServer

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
SILENT = 0
"""The status of what was never answered."""

WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Seen:
    """One request, how it was answered, and whether the registry did it."""

    method: str
    target: str
    authorization: str
    status: int
    passed_on: bool


@dataclass(frozen=True)
class Mood:
    """What is done with requests: without an answer they are passed on."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)


class Moody:
    """`https://127.0.0.1:PORT` in front of a registry that speaks plain HTTP.

    The port stays the same, also while connections to it are refused. With `manners`,
    it speaks of logins and rights as those say, and lets the rest pass. With
    `catalog`, that is what it lists.
    """

    def __init__(self, authority: Authority, registry_port: int) -> None:
        self.registry_port = registry_port
        self.manners: Manners | None = None
        self.catalog: Listing | None = None
        self._mood = Mood()
        self._seen: list[Seen] = []
        self._lock = threading.Lock()
        self._replies = 0
        self._between_replies = threading.Condition()
        self._pair = authority.issue("127.0.0.1", "localhost")
        # Bound and never listening, this socket keeps the port for us. Only one that
        # may be bound to a second time lets the server in beside it.
        self._held = socket.socket()
        self._held.bind(("127.0.0.1", 0))
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port: int = self._held.getsockname()[1]

        class Handler(_MoodyHandler):
            moody = self

        self._handler = Handler
        self._server: TlsServer | None = None
        self.pass_on()

    @property
    def host(self) -> str:
        """`ADDRESS:PORT`, as in an image name."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"https://{self.host}"

    @property
    def mood(self) -> Mood:
        """What it does now."""
        return self._mood

    def pass_on(self) -> None:
        """Let the registry answer."""
        self._change(Mood())

    def answer(self, status: int, *, retry_after: int | None = None) -> None:
        """Answer everything with an error."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._change(Mood(status, headers))

    def silence(self) -> None:
        """Accept everything and never answer."""
        self._change(Mood(SILENT))

    def refuse(self) -> None:
        """Close every connection and the port, when no reply is half written.

        A reply that is cut after its head is a failure that no front can hide.
        """
        self._mood.over.set()
        with self._between_replies:
            self._between_replies.wait_for(lambda: not self._replies, WAIT_SECONDS)
            if self._server is not None:
                self._server.stop()
                self._server = None

    @contextmanager
    def replying(self) -> Iterator[None]:
        """Be kept whole while a reply is written."""
        with self._between_replies:
            self._replies += 1
        try:
            yield
        finally:
            with self._between_replies:
                self._replies -= 1
                self._between_replies.notify_all()

    def stop(self) -> None:
        """Refuse from now on, and give the port back."""
        self.refuse()
        self._held.close()

    def requests(self) -> list[Seen]:
        """Every request so far, oldest first, as soon as its answer is known."""
        with self._lock:
            return list(self._seen)

    def record(self, seen: Seen) -> None:
        """Remember a request."""
        with self._lock:
            self._seen.append(seen)

    def _change(self, mood: Mood) -> None:
        before, self._mood = self._mood, mood
        before.over.set()
        if self._server is None:
            self._server = TlsServer(self._pair, self._handler, self.port)


class _MoodyHandler(SmallHandler):
    moody: ClassVar[Moody]

    def _serve(self) -> None:
        mood = self.moody.mood
        body = self._body()
        manners = self.moody.manners
        if manners is not None:
            given = self.headers.get("Authorization", "")
            answer = manners.answer(self.command, self.path, given)
            if answer is not None:
                self._record(answer.status, False)
                headers = dict(line.split(": ", 1) for line in answer.headers)
                self._reply(answer.status, headers, answer.body)
                return
        path, _, query = self.path.partition("?")
        if self.moody.catalog is not None and path == "/v2/_catalog":
            self._list(self.moody.catalog, query)
            return
        if mood.status is None:
            self._pass_on(body)
            return
        self._record(mood.status, False)
        if mood.status == SILENT:
            mood.over.wait(WAIT_SECONDS)
            self.close_connection = True
            return
        error = {"code": "TOOMANYREQUESTS", "message": "come back later"}
        document = json.dumps({"errors": [error]}).encode()
        kind = {"Content-Type": "application/json"}
        if mood.status != 429:
            # as balancers do
            document, kind = b"<html>sorry</html>", {"Content-Type": "text/html"}
        self._reply(mood.status, {**kind, **mood.headers}, document)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        with self.moody.replying():
            super()._reply(status, headers, body)

    def _list(self, catalog: Listing, query: str) -> None:
        status, names, following = catalog.page(query)
        self._record(status, False)
        headers = {"Content-Type": "application/json"}
        if following is not None:
            headers["Link"] = f'</v2/_catalog?{following}>; rel="next"'
        self._reply(status, headers, json.dumps({"repositories": names}).encode())

    def _pass_on(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.moody.registry_port, timeout=WAIT_SECONDS
        )
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP | {"content-length", "expect"}:
                    connection.putheader(name, value)
            connection.putheader("X-Forwarded-Proto", "https")
            if body or self.command in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            document = response.read()
        finally:
            connection.close()
        self._record(response.status, True)
        headers = {
            name: value
            for name, value in response.getheaders()
            if name.lower() not in HOP_BY_HOP
        }
        self._reply(response.status, headers, document)

    def _record(self, status: int, passed_on: bool) -> None:
        self.moody.record(
            Seen(
                self.command,
                self.path,
                self.headers.get("Authorization", ""),
                status,
                passed_on,
            )
        )
