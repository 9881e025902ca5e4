"""
What one request costs: bounds that a change passes only on purpose.

They are the same on every machine, where times are not. Of the memory, one read from a
socket is most: room is made for all that may come. A bound is a tenth above what was
counted with Python 3.11. Whoever makes a request cheaper lowers its bound.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.composite_token import CompositeTokens
from regbroker.transport.server import reply_heads
from regbroker.web.forward import BLOBS_AT_ONCE
from tests.counted import Counted, allocating, counting, weighing
from tests.proxycase import BLOB, MANIFEST, UPLOAD, UPLOADS, ProxyTestCase
from tests.scripted import Call, response
from tests.tlspeer import Link, SocketLink

#: Requests before the one that counts: what is made once is made by then.
WARM_UP = 5

#: Requests whose allocations and calls are counted; the fewest count. With the first,
#: CPython notes where the lines of each function are. A chunk comes in pieces, as the
#: kernel has them.
ROUNDS = 3

#: To count allocations, memray is told of each call. For that, CPython 3.12 and newer
#: make objects, which count: up to half more than with 3.11.
TOLD = 1.5 if sys.version_info >= (3, 12) else 1

PING = "/v2/"
UNKNOWN_MANIFEST = "/v2/team/app/manifests/unknown"
TOKEN = json.dumps({"token": "t", "expires_in": 300}).encode()
BODY = b"x" * 2000
UNKNOWN = (
    b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown",'
    b'"detail":{"name":"acme_team/app","Tag":"unknown"}}]}'
)
DENIED = (
    b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required",'
    b'"detail":[{"Type":"repository","Name":"acme_team/app","Action":"pull"}]}]}'
)
CHALLENGE = (
    'Bearer realm="https://auth.test/token",service="s",'
    'scope="repository:acme_team/app:pull"'
)
CHUNK = b"x" * 256 * 1024
ALICE = "Authorization: Basic YWxpY2U6cA=="
TOKEN_AT_HAND = "/auth?service=s&scope=repository:team/app:pull"


def manifest() -> bytes:
    """A manifest under its digest."""
    digest = hashlib.sha256(BODY).hexdigest()
    media_type = "application/vnd.oci.image.manifest.v1+json"
    lines = f"Content-Type: {media_type}", f"Docker-Content-Digest: sha256:{digest}"
    return response(200, *lines, body=BODY)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that one request may cost; `peak` is in KiB."""

    calls: int
    allocations: int
    system_calls: int
    timers: int
    peak: int


@dataclass(frozen=True, kw_only=True)
class Message:
    """The most that a small message over TLS and its answer may cost on top."""

    calls: int
    allocations: int


class CountTestCase(ProxyTestCase):
    """Counts one request, and holds it to its bounds."""

    tokens = True
    #: Connections to the same server that are not those of the first upstream.
    elsewhere = 0

    async def set_up(self) -> None:
        await super().set_up()
        self.upstream.handler = self.answer
        # With the first reply of a second, regbroker writes a new date. On a busy
        # machine that would be each one that is counted.
        self.patch(reply_heads, "time", SimpleNamespace(time=lambda: 0.0))

    def answer(self, call: Call) -> bytes | None:
        """Answer what clients of these tests ask; a chunk is answered when it is in."""
        if call.method == "PATCH":
            return None
        if call.target.startswith("/token"):
            return response(200, body=TOKEN)
        if call.method == "HEAD":
            return response(404, "Content-Type: application/json", body=b"")
        if call.method == "POST":
            place = f"{self.upstream.url}/v2/acme_team/app/blobs/uploads/id?_state=s"
            return response(202, f"Location: {place}")
        if call.target.endswith("/unknown"):
            return response(404, "Content-Type: application/json", body=UNKNOWN)
        if call.method == "GET" and call.header(b"Authorization") is None:
            return response(401, f"WWW-Authenticate: {CHALLENGE}", body=DENIED)
        return response(
            200,
            "Content-Type: application/vnd.oci.image.manifest.v1+json",
            "Docker-Content-Digest: sha256:" + "a1" * 32,
            body=BODY,
        )

    async def assert_within(
        self, bounds: Bounds, status: int, method: str, target: str, *headers: str
    ) -> None:
        """
        Count one request after some others like it, and hold it to its bounds.

        `NUMBER` in its target is another number each time, of 64 digits.
        """
        numbers = count()

        async def ask() -> None:
            body = CHUNK if method == "PATCH" else None
            asked = target.replace("NUMBER", f"{next(numbers):064}")
            self.client.request(method, asked, *headers, body=body)
            if body is not None:
                call = await self.upstream.call()
                self.assertEqual(len(await call.body()), len(body))
                call.reply(202)
            self.assertEqual((await self.client.reply(method)).status, status)

        for _ in range(WARM_UP):
            await ask()
        # A manifest has connections opened for its blobs.
        opens_more = method == "GET" and target in (MANIFEST, UNKNOWN_MANIFEST)
        while opens_more and self.upstream.connected < BLOBS_AT_ONCE + self.elsewhere:
            await self.turn()
        asked, connections = len(self.upstream.calls), len(self.upstream.wires)
        port = int(self.url.rpartition(":")[2])
        with counting(port, self.upstream.port) as counted:
            await ask()
        relayed = len(self.upstream.calls) - asked
        with weighing(counted):
            await ask()
        allocations = []
        for _ in range(ROUNDS):
            with allocating(counted):
                await ask()
            allocations.append(counted.allocations)
        counted.allocations = min(allocations)
        for _ in range(ROUNDS):
            with counting(port, self.upstream.port) as again:
                await ask()
            counted.calls = min(counted.calls, again.calls)
        self.assertEqual(len(self.upstream.wires), connections)
        is_answered_here = target in (PING, TOKEN_AT_HAND)
        self.assertEqual(relayed, 0 if is_answered_here else 1)
        self.assert_counts(counted, bounds)

    def assert_counts(self, counted: Counted, bounds: Bounds) -> None:
        """Assert that all counts are within their bounds, and not idly so."""
        for what, found, bound in (
            ("calls", counted.calls, bounds.calls),
            ("allocations", counted.allocations, bounds.allocations * TOLD),
            ("system calls", counted.system_calls, bounds.system_calls),
            ("timers", counted.timers, bounds.timers),
            ("KiB", counted.peak_bytes // 1024, bounds.peak),
        ):
            self.assertLessEqual(found, bound, f"{what}: {counted}")
        for found, bound in (
            (counted.calls, bounds.calls),
            (counted.allocations, bounds.allocations),
        ):
            self.assertGreater(found, bound // 2, f"lower it: {counted}")


class CountTests(CountTestCase):
    """The kinds of requests that clients send most, without TLS."""

    async def test_pull(self) -> None:
        """A manifest of 2 kB."""
        await self.assert_within(
            Bounds(calls=150, allocations=272, system_calls=4, timers=0, peak=150),
            *(200, "GET", MANIFEST, "Authorization: Bearer t"),
        )

    async def test_push(self) -> None:
        """A chunk of 256 KiB: the peak has it ten times, mostly on the test's sides."""
        await self.assert_within(
            Bounds(calls=350, allocations=745, system_calls=36, timers=1, peak=3000),
            *(202, "PATCH", UPLOAD, "Authorization: Bearer t"),
        )

    async def test_ping(self) -> None:
        """The 401 that every pull begins with."""
        await self.assert_within(
            Bounds(calls=77, allocations=167, system_calls=2, timers=0, peak=130),
            *(401, "GET", PING),
        )

    async def test_token(self) -> None:
        """A token that was asked for before."""
        await self.assert_within(
            Bounds(calls=114, allocations=309, system_calls=2, timers=0, peak=130),
            *(200, "GET", TOKEN_AT_HAND, ALICE),
        )

    async def test_new_token(self) -> None:
        """A token that nobody has asked for: the token service is asked with treq."""
        target = "/auth?service=s&scope=repository:team/NUMBER:pull"
        await self.assert_within(
            Bounds(calls=375, allocations=1720, system_calls=4, timers=1, peak=160),
            *(200, "GET", target, ALICE),
        )

    async def test_new_blob(self) -> None:
        """A blob that nobody has asked for."""
        target = "/v2/team/app/blobs/sha256:NUMBER"
        await self.assert_within(
            Bounds(calls=163, allocations=342, system_calls=4, timers=0, peak=150),
            *(200, "GET", target, "Authorization: Bearer t"),
        )

    async def test_missing(self) -> None:
        """A blob that is not there: what a push asks first of each."""
        await self.assert_within(
            Bounds(calls=185, allocations=440, system_calls=4, timers=0, peak=150),
            *(404, "HEAD", BLOB, "Authorization: Bearer t"),
        )

    async def test_unknown(self) -> None:
        """A manifest that is not there, with a sentence about it."""
        await self.assert_within(
            Bounds(calls=225, allocations=660, system_calls=4, timers=0, peak=150),
            *(404, "GET", UNKNOWN_MANIFEST, "Authorization: Bearer t"),
        )

    async def test_challenge(self) -> None:
        """The upstream's challenge, which containerd begins each pull with."""
        await self.assert_within(
            Bounds(calls=335, allocations=1030, system_calls=4, timers=0, peak=150),
            *(401, "GET", MANIFEST),
        )

    async def test_upload_begins(self) -> None:
        """An upload that begins: a length of nothing, and a Location."""
        await self.assert_within(
            Bounds(calls=182, allocations=416, system_calls=4, timers=0, peak=150),
            *(202, "POST", UPLOADS, "Authorization: Bearer t", "Content-Length: 0"),
        )


class BalancerCountTests(CountTestCase):
    """Behind a balancer that ends TLS, and says who the client is."""

    main = "trusted-proxies = 127.0.0.1"

    async def test_ping(self) -> None:
        """The ping of one client, again."""
        await self.assert_within(
            Bounds(calls=90, allocations=188, system_calls=2, timers=0, peak=130),
            *(401, "GET", PING),
            *("X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"),
        )


class SeveralCountTests(CountTestCase):
    """Two upstreams with the same names, and accounts of clients at both."""

    #: The second one is asked who it is.
    elsewhere = 1

    def ini(self) -> str:
        more = "upstream = up, two\naccounts = upstream: up, two\n"
        first = super().ini().replace("upstream = up\n", more)
        return f"{first}[upstream two]\nurl = {self.upstream.url}\n"

    async def test_token(self) -> None:
        """A token whose parts were asked for before."""
        await self.assert_within(
            Bounds(calls=175, allocations=648, system_calls=2, timers=0, peak=130),
            *(200, "GET", TOKEN_AT_HAND, ALICE),
        )

    async def test_pull(self) -> None:
        """A manifest that the first of them has."""
        both = CompositeTokens(b"", lambda: 0)
        token = both.write({"up": "t", "two": "t"})
        await self.assert_within(
            Bounds(calls=243, allocations=552, system_calls=4, timers=1, peak=150),
            *(200, "GET", MANIFEST, f"Authorization: Bearer {token}"),
        )


class KeptManifestCountTests(CountTestCase):
    """A manifest that is kept here, and that one client asks for."""

    upstream_options = "manifest-cache = 1M"

    def answer(self, call: Call) -> bytes | None:
        """Answer HEAD as GET is answered, without the body."""
        if call.method == "HEAD":
            head, _, _ = manifest().partition(b"\r\n\r\n")
            return head + b"\r\n\r\n"
        return manifest() if "/manifests/" in call.target else super().answer(call)

    async def test_pull(self) -> None:
        """The upstream is asked with HEAD."""
        await self.assert_within(
            Bounds(calls=212, allocations=581, system_calls=4, timers=1, peak=150),
            *(200, "GET", MANIFEST, "Authorization: Bearer t"),
        )


class TLSCountTests(SynchronousTestCase):
    """What one connection over TLS costs on top."""

    def test_memory(self) -> None:
        """Through memory, as towards upstreams."""
        link = Link()
        self.assert_message(
            link,
            lambda data: partial(link.tls.dataReceived, data),
            Message(calls=25, allocations=82),
        )

    def test_socket(self) -> None:
        """Over the socket, as towards clients."""
        link = SocketLink()
        self.addCleanup(link.close)

        def arrived(data: bytes) -> Callable[[], object]:
            link.socket.sendall(data)
            (reader,) = link.reactor.readers
            read: Callable[[], object] = reader.doRead
            return read

        self.assert_message(link, arrived, Message(calls=17, allocations=51))

    def assert_message(
        self,
        link: Link,
        arrived: Callable[[bytes], Callable[[], object]],
        bounds: Message,
    ) -> None:
        """Count a small message that has `arrived`, and a small answer."""
        link.shake_hands()
        link.inner.on_data = lambda data: link.tls.write(BODY)
        for _ in range(WARM_UP):
            link.peer.sendall(b"x" * 300)
            link.settle()
        link.peer.sendall(b"x" * 300)
        take = arrived(link.from_peer())
        with counting(0, 0) as counted:
            take()
        allocations = []
        for _ in range(ROUNDS):
            link.to_peer()
            link.peer.sendall(b"x" * 300)
            take = arrived(link.from_peer())
            with allocating(counted):
                take()
            allocations.append(counted.allocations)
        link.to_peer()
        self.assertEqual(link.text, BODY * (WARM_UP + 1 + ROUNDS))
        self.assertLessEqual(counted.calls, bounds.calls)
        self.assertGreater(counted.calls, bounds.calls // 2, "lower it")
        fewest = min(allocations)
        self.assertLessEqual(fewest, bounds.allocations * TOLD)
        self.assertGreater(fewest, bounds.allocations // 2, "lower it")
