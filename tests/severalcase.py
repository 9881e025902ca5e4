"""regbroker in front of two scripted upstreams, which differ in everything."""

from __future__ import annotations

import base64
import json

from regbroker.assembly.upstreams import UpstreamService
from regbroker.service import RegbrokerService
from tests.proxycase import OtherUpstream
from tests.scripted import Call, ScriptedUpstream, response
from tests.wire import Message

ALICE = "Basic " + base64.b64encode(b"alice:s3cret").decode()


class SeveralTestCase(OtherUpstream):
    """
    `upstream` is the section `one`, `other` the section `two`.

    Each is a registry and its token service, and gives out tokens that begin with
    its name, unless `wants_tokens` leaves it out.
    """

    listed = "upstream = one, two"
    registry = "* = acme_*\n* = two:cache/*"
    wants_tokens: tuple[str, ...] = ("one", "two")
    other_options = ""

    def ini(self) -> str:
        rules = "".join(f"\n    {line.strip()}" for line in self.registry.splitlines())
        return (
            f"[regbroker]\nlisten = {self.listen}\nstate-directory = state\n"
            f"[registry *]\n{self.listed}\nnamespaces ={rules}\n{self.more}\n"
            f"[upstream one]\nurl = {self.upstream.url}\n{self.upstream_options}\n"
            f"[upstream two]\nurl = {self.other.url}\n{self.other_options}\n"
        )

    async def serve(self, learnt: bool = True) -> RegbrokerService:
        """Start regbroker; wait until it knows what it can know."""
        upstreams = {"one": self.upstream, "two": self.other}
        for name in self.wants_tokens:
            upstream = upstreams[name]
            challenge = f'Bearer realm="{upstream.url}/token",service="{name}"'
            upstream.ping = response(401, f"WWW-Authenticate: {challenge}")
        service = await super().serve(learnt=False)
        if learnt:
            for part in service:
                if isinstance(part, UpstreamService):
                    await part.upstream.discover()
        self.parts = {
            part.upstream.name: part
            for part in service
            if isinstance(part, UpstreamService)
        }
        return service

    def down(self, upstream: ScriptedUpstream, *answers: bytes) -> list[Call]:
        """Have an upstream fail once, and whenever regbroker looks for itself."""
        upstream.ping = response(503)
        return self.answer(upstream, response(503), *answers)

    async def rested(self, name: str) -> None:
        """Wait until an upstream rests."""
        while not self.parts[name].upstream.circuits.current("").open_seconds:
            await self.turn()

    def answer(self, upstream: ScriptedUpstream, *answers: bytes) -> list[Call]:
        """
        Have an upstream answer what is no token request with these, in turn.

        The last one stays. Returns the requests, as they come in.
        """
        name = "two" if upstream is self.other else "one"
        calls: list[Call] = []
        left = list(answers)

        def handle(call: Call) -> bytes:
            if call.target.startswith("/token"):
                return self.grant(name, call)
            calls.append(call)
            return left.pop(0) if len(left) > 1 else left[0]

        upstream.handler = handle
        return calls

    def grant(self, name: str, call: Call) -> bytes:
        """What the token service of an upstream gives."""
        token = {"token": f"{name}-token", "expires_in": 300}
        return response(200, body=json.dumps(token).encode())

    async def token(self, *scopes: str, authorization: str = ALICE) -> str:
        """Return a token that regbroker gives for some scopes."""
        reply = await self.asked_token(*scopes, authorization=authorization)
        self.assertEqual(reply.status, 200, reply.body)
        token: str = reply.json()["token"]
        return token

    async def asked_token(self, *scopes: str, authorization: str = ALICE) -> Message:
        """Ask regbroker for a token."""
        query = "&".join(f"scope={scope}" for scope in scopes)
        headers = [f"Authorization: {authorization}"] if authorization else []
        return await self.client.ask("GET", f"/auth?{query}", *headers)
