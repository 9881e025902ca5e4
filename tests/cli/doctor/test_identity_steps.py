"""What doctor finds out about issuers."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from regbroker.accounts.identity.users import parse_template
from regbroker.cli.doctor.identity_steps import examine_identity
from regbroker.cli.doctor.steps import Step
from regbroker.settings.config import IdentityConfig
from tests.assembly.test_identities import IssuerTestCase


class IdentityStepTests(IssuerTestCase):
    async def step(self, timeout: float = 10, **changed: Any) -> Step:
        """The step with the issuer."""
        fields: dict[str, Any] = {
            "name": "ci",
            "issuer": self.upstream.url,
            "audience": ("a",),
            "user": parse_template("ci:${sub}"),
            "ca_file": PurePath(self.ca_file),
            **changed,
        }
        entry = IdentityConfig(**fields)
        (step,) = await examine_identity(self.reactor, entry, timeout)
        # The connection is given back, and then closed.
        await self.turn()
        self.assertEqual(step.side, f"[identity ci] {self.upstream.url}")
        return step

    async def test_keys(self) -> None:
        """The keys are named."""
        step = await self.step()
        self.assertEqual((step.seen, step.trouble), ("1 usable: k1", None))

    async def test_file(self) -> None:
        """A file is read."""
        path = self.ca_file.with_name("keys.json")
        path.write_bytes(self.keys)
        self.assertIsNone((await self.step(jwks=PurePath(path))).trouble)
        path.write_text("{}")
        step = await self.step(jwks=PurePath(path))
        assert step.trouble is not None
        self.assertIn("no set of keys", step.trouble.problem)

    async def test_trouble(self) -> None:
        """What keeps the keys from being fetched is told, and what to do."""
        step = await self.step(ca_file=None)
        assert step.trouble is not None
        self.assertIn("no trusted TLS connection", step.trouble.problem)
        self.assertIn("jwks = FILE", step.trouble.advice)
        self.upstream.handler = None
        step = await self.step(timeout=0.05)
        assert step.trouble is not None
        self.assertEqual(step.trouble.problem, "no keys within 0.05 s")
