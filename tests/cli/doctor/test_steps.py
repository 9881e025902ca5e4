"""The steps of an examination, as lines and as JSON."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.doctor.steps import Step, Trouble, counted, lines


class StepsTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Each side once, its steps below it, trouble and advice below these."""
        steps = [
            Step("up", "DNS", 0.0123, "a is b"),
            Step("up", "TCP", 1.26, "", Trouble("refused", "start it")),
            Step("down", "ping", 0.0, "", Trouble("no")),
            Step("aside", "not examined", 0.0, "a sandbox", examined=False),
        ]
        self.assertEqual(
            [" ".join(line.split()) for line in lines(steps)],
            [
                "up",
                "ok DNS 12 ms a is b",
                "FAIL TCP 1.3 s",
                "refused",
                "-> start it",
                "down",
                "FAIL ping 0 ms",
                "no",
                "aside",
                "-- not examined: a sandbox",
            ],
        )

    def test_counted(self) -> None:
        """Where nothing was tried, nobody says that it is well."""
        good, bad = Step("up", "TCP", 0.1), Step("up", "TCP", 0.1, "", Trouble("no"))
        aside = Step("aside", "not examined", 0.0, "a sandbox", examined=False)
        for steps, said in (
            ([good], "1 step, all is well"),
            ([good, bad, aside], "2 steps, 1 failed; not examined: 1"),
            ([aside, aside], "nothing was examined; not examined: 2"),
            ([], "nothing was examined"),
        ):
            self.assertEqual(counted(steps), said)

    def test_document(self) -> None:
        """The same for programs."""
        self.assertEqual(
            Step("up", "TCP", 0.25, "x", Trouble("no", "yes")).document(),
            {
                "side": "up",
                "step": "TCP",
                "seconds": 0.25,
                "seen": "x",
                "ok": False,
                "examined": True,
                "problem": "no",
                "advice": "yes",
            },
        )
        self.assertTrue(Step("up", "TCP", 0.25).document()["ok"])
