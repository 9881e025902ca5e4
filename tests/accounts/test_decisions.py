"""What the rules decide, and by which line."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.access_section import parse_access
from regbroker.accounts.decisions import Decision, decide
from regbroker.accounts.principals import Account

RULES = parse_access(
    {"alice": "team/**: push", "@ops": "**: *", "anonymous": "a: pull"}
)


class DecideTests(SynchronousTestCase):
    def test_by_line(self) -> None:
        """The line that allows it is named, with its section."""
        self.assertEqual(
            decide(RULES, "[access x]", Account("alice"), "push", "team/app"),
            Decision("push", True, "[access x] alice = team/**: push"),
        )
        decision = decide(RULES, "[access x]", None, "pull", "a")
        self.assertEqual(decision.why, "[access x] anonymous = a: pull")

    def test_no_line(self) -> None:
        """Where none does, those who may are named."""
        decision = decide(RULES, "[access x]", Account("bob"), "push", "team/app")
        self.assertEqual(
            decision,
            Decision(
                "push",
                False,
                "no line of [access x] grants it; those who may: alice, @ops",
            ),
        )
