"""Identities: issuers that answer over TLS."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.key_cache import KeyCache
from regbroker.accounts.identity.users import parse_template
from regbroker.assembly.identities import (
    IssuerKeysService,
    build_verifier,
    keys_of,
)
from regbroker.errors import AccountsUnavailable, ConfigurationError
from regbroker.protocol.origins import Origin
from regbroker.settings.config import IdentityConfig
from regbroker.transport.certificates.served import certificate_options
from tests.askingcase import AskingTestCase
from tests.certificates import authority, issued
from tests.issuers import ec_key, jwk, jwks
from tests.scripted import Call, ScriptedUpstream, response


class IssuerTestCase(AskingTestCase):
    """The upstream of this test case is an issuer, by its address."""

    by = "Test CA"

    async def set_up(self) -> None:
        await super().set_up()
        self.keys = jwks(jwk(ec_key()))
        self.keys_url = f"{self.upstream.url}/keys"
        self.upstream.handler = self.answer
        self.ca_file = Path(self.mktemp()).absolute()
        self.ca_file.write_bytes(authority().certificate)

    def make_upstream(self) -> ScriptedUpstream:
        pair = issued("127.0.0.1", by=self.by)
        return ScriptedUpstream(tls=certificate_options(pair.certificate, pair.key))

    def answer(self, call: Call) -> bytes:
        """Discovery, keys, and nothing else."""
        if call.target == "/.well-known/openid-configuration":
            document = {"issuer": self.upstream.url, "jwks_uri": self.keys_url}
            return response(200, body=json.dumps(document).encode())
        if call.target == "/keys":
            return response(200, "Cache-Control: max-age=120", body=self.keys)
        if call.target == "/moved":
            return response(302, f"Location: {self.upstream.url}/keys")
        return response(404)

    async def found(self, **changed: Any) -> int:
        """How many keys there are of the kid; raises `AccountsUnavailable`."""
        fields: dict[str, Any] = {
            "name": "ci",
            "issuer": self.upstream.url,
            "audience": ("a",),
            "user": parse_template("ci:${sub}"),
            "ca_file": PurePath(self.ca_file),
            **changed,
        }
        service = IssuerKeysService(IdentityConfig(**fields), self.reactor)
        service.startService()
        self.service = service
        try:
            keys = await Deferred.fromCoroutine(service.keys.find("k1", "ES256"))
        finally:
            # What is left of a long answer ends first.
            await self.turn()
            service.stopService()
        return len(keys)

    async def problem(self, **changed: Any) -> str:
        """Why there are no keys."""
        with self.assertRaises(AccountsUnavailable):
            await self.found(**changed)
        assert isinstance(self.service.keys, KeyCache)
        return self.service.keys.problem


class IssuerTests(IssuerTestCase):
    async def test_discovery(self) -> None:
        """Keys are where discovery says, over TLS that the ca-file vouches for."""
        self.assertEqual(await self.found(), 1)
        asked = [call.target for call in self.upstream.calls]
        self.assertEqual(asked, ["/.well-known/openid-configuration", "/keys"])
        for call in self.upstream.calls:
            self.assertIsNone(call.header(b"Authorization"))

    async def test_url(self) -> None:
        """Keys are where the section says."""
        self.assertEqual(await self.found(jwks=self.keys_url), 1)
        self.assertEqual([call.target for call in self.upstream.calls], ["/keys"])

    async def test_elsewhere(self) -> None:
        """Discovery may not lead to an address that is not public."""
        for host in ("127.0.0.2", "169.254.169.254", "10.0.0.1"):
            self.keys_url = f"https://{host}:{self.upstream.port}/keys"
            problem = await self.problem()
            self.assertIn("write the URL of the keys as jwks", problem)
        targets = {call.target for call in self.upstream.calls}
        self.assertEqual(targets, {"/.well-known/openid-configuration"})

    async def test_redirect(self) -> None:
        """Redirects are not followed."""
        self.keys_url = f"{self.upstream.url}/moved"
        self.assertIn("status 302", await self.problem())

    async def test_large(self) -> None:
        """More keys than anybody has are not taken."""
        self.keys = b" " * 10 * 1024 * 1024
        self.assertIn("more than", await self.problem())

    async def test_stranger(self) -> None:
        """Without the ca-file nobody vouches for the issuer."""
        self.assertIn("no trusted TLS", await self.problem(ca_file=None))

    async def test_proxy(self) -> None:
        """The way leads through the proxy that the section names."""
        proxy = ScriptedUpstream()
        proxy.start()
        proxy.handler = lambda call: response(403)
        try:
            place = Origin("http", "127.0.0.1", proxy.port)
            self.assertIn("cannot be reached", await self.problem(proxy=place))
        finally:
            await proxy.stop()
        (call,) = proxy.calls
        self.assertEqual(call.target, self.upstream.url.removeprefix("https://"))
        self.assertEqual(call.method, "CONNECT")
        self.assertEqual(self.upstream.calls, [])

    async def test_down(self) -> None:
        """An issuer that refuses connections gives no keys."""
        await self.upstream.stop()
        self.assertIn("cannot be reached", await self.problem())


class BuildingTests(SynchronousTestCase):
    def test_not_built(self) -> None:
        """A CA file that is none is a problem of the configuration."""
        path = Path(self.mktemp()).absolute()
        path.write_text("x")
        entry = self.entry(ca_file=PurePath(path))
        clock: Any = Clock()
        with self.assertRaises(ConfigurationError):
            IssuerKeysService(entry, clock)

    def entry(self, **changed: Any) -> IdentityConfig:
        fields: dict[str, Any] = {
            "name": "ci",
            "issuer": "https://issuer.test",
            "audience": ("a",),
            "user": parse_template("ci:${sub}"),
            **changed,
        }
        return IdentityConfig(**fields)

    def test_kept(self) -> None:
        """Keys do not depend on what tokens must say."""
        self.assertEqual(keys_of(self.entry()), keys_of(self.entry(audience=("b",))))
        self.assertNotEqual(
            keys_of(self.entry()), keys_of(self.entry(jwks="https://x"))
        )

    def test_verifier(self) -> None:
        """A verifier expects what the section says."""
        keys: Any = None
        expected = build_verifier(self.entry(leeway=0.0), keys).expected
        self.assertEqual((expected.name, expected.leeway), ("ci", 0.0))
