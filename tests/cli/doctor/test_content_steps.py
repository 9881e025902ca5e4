"""The manifest, a blob, and where a redirect leads."""

from __future__ import annotations

from typing import Any

from regbroker.cli.doctor.content_steps import pull
from regbroker.cli.doctor.examiner import Examiner, until_stopped
from regbroker.cli.doctor.steps import Step
from regbroker.cli.doctor.visit import Side, Visit, Wanted
from regbroker.protocol.origins import Origin
from tests.doctorcase import DIGEST, DoctorCase, Fake, reactor


class ContentStepsTests(DoctorCase):
    async def pulled(self, fake: Fake, reference: str = "1.0") -> list[Step]:
        """The steps after the connection."""
        origin = Origin("http", "localhost", self.listen(fake.answer))
        side = Side(origin=origin, where="WHERE", section="[section]")
        wanted = Wanted(name="acme/app", reference=reference)
        visit = Visit(Examiner(reactor, "side", 5.0), side, wanted)
        await visit.reach(origin, "WHERE")
        before = len(visit.examiner.steps)
        await until_stopped(pull(visit, ()))
        return visit.examiner.steps[before:]

    async def test_index(self) -> None:
        """An index leads to a manifest, and that to its first layer."""
        steps = await self.pulled(Fake())
        self.assertEqual(
            [step.name for step in steps], ["manifest", "of the index", "blob"]
        )
        target, headers = self.requests[-1]
        self.assertEqual(target, f"/v2/acme/app/blobs/{DIGEST}")
        self.assertEqual(headers["Range"], "bytes=0-1023")

    async def test_without_layers(self) -> None:
        """A manifest without blobs, or with what is no digest, is the end."""
        bodies: list[Any] = [
            {},
            {"layers": [{"digest": "a b"}]},
            {"manifests": [{}]},
            [1],
        ]
        for body in bodies:
            fake = Fake(answers={"/v2/acme/app/manifests/": (200, {}, body)})
            steps = await self.pulled(fake)
            self.assertEqual([step.name for step in steps], ["manifest"])

    async def test_locations(self) -> None:
        """A Location that leads nowhere, and none at all."""
        for status, headers, words in (
            (307, {"Location": "ftp://a/b"}, "its Location is no URL"),
            (307, {"Location": "http://[::1"}, "its Location is no URL"),
            (307, {}, "without a Location"),
        ):
            reply = (status, headers, b"")
            steps = await self.pulled(Fake(answers={"/v2/acme/app/blobs/": reply}))
            trouble = steps[-1].trouble
            assert trouble is not None
            self.assertIn(words, trouble.problem)

    async def test_relative_location(self) -> None:
        """A Location without a host stays where it is."""
        fake = Fake(location="/storage/x?X-Signature=secret")
        steps = await self.pulled(fake)
        self.assertEqual(
            [step.name for step in steps][-3:], ["blob", "redirect", "storage"]
        )
        self.assertNotIn("secret", "".join(step.seen for step in steps))
