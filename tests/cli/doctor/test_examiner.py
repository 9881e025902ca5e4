"""Steps as they are tried."""

from __future__ import annotations

from dataclasses import replace

from regbroker.cli.doctor.examiner import Examiner, until_stopped
from regbroker.cli.doctor.routes import Ways
from regbroker.cli.doctor.steps import Stopped, Trouble
from regbroker.protocol.origins import Origin
from tests.certificates import issued
from tests.doctorcase import DoctorCase, Fake, reactor


class ExaminerTests(DoctorCase):
    def setUp(self) -> None:
        super().setUp()
        self.examiner = Examiner(
            reactor, "side", 5.0, Ways(places={"a.test": "127.0.0.1"})
        )

    def names(self) -> list[str]:
        return [step.name for step in self.examiner.steps]

    async def test_once(self) -> None:
        """An origin is reached once, and asked as often as one likes."""
        port = self.listen(Fake().answer, issued("a.test"))
        origin = Origin("https", "a.test", port)
        for _ in range(2):
            await self.examiner.reach(
                origin, "WHERE", ca_file=self.ca_file, ca_option="CA"
            )
        self.assertEqual(self.names(), ["TCP", "TLS"])
        answer, seconds = await self.examiner.get(
            "ping", origin, "/v2/", "WHERE", headers=(("Accept", "x"),)
        )
        self.assertEqual(answer.status, 200)
        self.assertGreaterEqual(seconds, 0)
        ((target, headers),) = self.requests
        self.assertEqual((target, headers["Host"]), ("/v2/", f"a.test:{port}"))
        self.assertEqual(headers["Accept"], "x")
        self.assertFalse(self.examiner.failed)

    async def test_stops(self) -> None:
        """The first failure is noted, and stops what is awaited."""
        origin = Origin("http", "a.test", self.closed_port())

        async def work() -> None:
            await self.examiner.reach(origin, "WHERE", prefix="x: ")
            self.fail("it goes on")

        await until_stopped(work())
        self.assertEqual(self.names(), ["x: TCP"])
        self.assertTrue(self.examiner.failed)

    async def test_allows(self) -> None:
        """An address that is not allowed is not dialled."""
        port = self.listen(Fake().answer)
        with self.assertRaises(Stopped):
            await self.examiner.reach(
                Origin("http", "a.test", port), "WHERE", allows=Trouble
            )
        self.assertEqual(self.names(), ["address"])
        trouble = self.examiner.steps[0].trouble
        self.assertEqual(trouble, Trouble("127.0.0.1"))

    async def test_another_certificate(self) -> None:
        """A server that shows another certificate later is asked nothing."""
        port = self.listen(Fake().answer, issued("a.test"))
        origin = Origin("https", "a.test", port)
        # Nobody's word counted when it was reached, and does when it is asked.
        await self.examiner.reach(origin, "WHERE", ca_file=self.ca_file)
        place = self.examiner._reached[origin]
        self.examiner._reached[origin] = replace(place, host="b.test")
        with self.assertRaises(Stopped):
            await self.examiner.get("ping", origin, "/v2/", "WHERE")
        self.assertEqual(self.requests, [])

    def test_remark(self) -> None:
        """A remark stops nothing; a note with trouble does."""
        self.examiner.remark("clock", "late", Trouble("late"))
        self.assertRaises(Stopped, self.examiner.note, "ping", 0.0, "", Trouble("no"))
        self.assertEqual(self.names(), ["clock", "ping"])
