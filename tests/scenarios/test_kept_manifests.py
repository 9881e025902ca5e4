"""`manifest-cache` with two upstreams that have the same names."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import groupby

from tests.scripted import Call, ScriptedUpstream, response
from tests.severalcase import SeveralTestCase

MANIFEST = "/v2/team/app/manifests/1"
BODY = b'{"schemaVersion":2}'
TYPE = "Content-Type: application/vnd.oci.image.manifest.v1+json"
DIGEST = f"Docker-Content-Digest: sha256:{sha256(BODY).hexdigest()}"


def found(call: Call) -> bytes:
    """The reply of an upstream that has the manifest."""
    body = b"" if call.method == "HEAD" else BODY
    return response(200, TYPE, DIGEST, f"Content-Length: {len(BODY)}", body=body)


def answering(reply: bytes) -> Callable[[Call], bytes]:
    """Answer everything so."""
    return lambda call: reply


class KeptManifestsTests(SeveralTestCase):
    wants_tokens = ()
    upstream_options = other_options = "manifest-cache = 1M"

    async def set_up(self) -> None:
        await super().set_up()
        self.upstream.handler = self.other.handler = found

    async def pull(self) -> tuple[str, str]:
        """Pull; return which upstream was asked last, and with which methods."""
        logged = self.event()
        reply = await self.client.ask("GET", MANIFEST)
        self.assertEqual((reply.status, reply.body), (200, BODY))
        fields = await logged
        return fields["upstream"], fields["upstream_method"]

    def sent(self, upstream: ScriptedUpstream) -> list[str]:
        """What an upstream got, without what was sent once more on a new connection."""
        return [method for method, _ in groupby(call.method for call in upstream.calls)]

    async def test_each_its_own(self) -> None:
        """Each upstream has a memory: that of another says nothing of its manifests."""
        self.assertEqual(await self.pull(), ("one", "HEAD,GET"))
        self.assertEqual(await self.pull(), ("one", "HEAD"))
        self.upstream.handler = lambda call: response(429, "Retry-After: 60")
        self.assertEqual(await self.pull(), ("two", "HEAD,GET"))
        self.assertEqual(self.sent(self.other), ["HEAD", "GET"])
        self.assertEqual(await self.pull(), ("two", "HEAD"))

    async def test_head_breaks_off(self) -> None:
        """An upstream that ends the connection after HEAD is not left for another."""
        self.upstream.handler = self.no_head(self.drop)
        for _ in range(2):
            self.assertEqual(await self.pull(), ("one", "HEAD,GET"))
        self.assertEqual(self.sent(self.upstream), 2 * ["HEAD", "GET"])
        self.assertEqual(self.sent(self.other), [])

    async def test_head_unknown(self) -> None:
        """Nor is one that does not know HEAD."""
        for status in (405, 501):
            self.upstream.handler = self.no_head(answering(response(status)))
            self.assertEqual(await self.pull(), ("one", "HEAD,GET"))
        self.assertEqual(self.sent(self.other), [])

    async def test_both_break_off(self) -> None:
        """When GET breaks off as well, the other upstream is asked."""
        self.upstream.handler = self.drop
        self.assertEqual(await self.pull(), ("two", "HEAD,GET,HEAD,GET"))
        self.assertEqual(self.sent(self.upstream), ["HEAD", "GET"])

    def no_head(self, answer: Callable[[Call], bytes]) -> Callable[[Call], bytes]:
        """Answer HEAD so, and GET as ever."""
        return lambda call: answer(call) if call.method == "HEAD" else found(call)

    def drop(self, call: Call) -> bytes:
        """End the connection without a reply."""
        call.wire.close()
        return b""
