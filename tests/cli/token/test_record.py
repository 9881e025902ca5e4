"""What is noted of robot tokens."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.tokens import RobotToken
from regbroker.cli.token.record import Record, day, parse_list

RECORD = Record("r1", "a.example", "deploy", ("a: pull",), 1000, 2000, "for CI")
times = st.integers(0, 4_000_000_000)


class RecordTests(SynchronousTestCase):
    def test_of(self) -> None:
        """A record is what a token says, and the note."""
        token = RobotToken(
            issuer="regbroker a.example",
            audience="a.example",
            user="deploy",
            issued=1000,
            expires=2000,
            id="r1",
            rights=("a: pull",),
        )
        self.assertEqual(Record.of(token, "for CI"), RECORD)

    @given(st.text(), st.text(), st.lists(st.text()), times, times)
    def test_there_and_back(
        self, user: str, note: str, rights: list[str], created: int, expires: int
    ) -> None:
        """A line is one line, and gives the record back."""
        record = Record("i", "*", user, tuple(rights), created, expires, note)
        line = record.line()
        self.assertEqual(line.splitlines(), [line])
        self.assertEqual(list(parse_list(f"\n{line}\n")), [record])

    def test_odd(self) -> None:
        """A line that is no record is told by its number."""
        good = RECORD.line()
        for line in (
            "x",
            "[]",
            "{}",
            "null",
            "[" * 100_000,
            good.replace('"r1"', "1"),
            good.replace('["a: pull"]', "[1]"),
            good.replace('["a: pull"]', "7"),
            good.replace("1970", "x"),
        ):
            self.assertEqual(
                list(parse_list(f"{good}\n{line}")), [RECORD, 2], line[:40]
            )

    def test_state(self) -> None:
        """Revoked counts before expired."""
        self.assertEqual(RECORD.state((), 1999.9), "valid")
        self.assertEqual(RECORD.state((), 2000.0), "expired")
        self.assertEqual(RECORD.state(("r1",), 3000.0), "revoked")

    def test_day(self) -> None:
        """Times are in UTC."""
        self.assertEqual(day(1_760_000_000.5), "2025-10-09T08:53:20Z")
