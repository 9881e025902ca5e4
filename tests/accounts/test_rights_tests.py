"""Lines that say what rights are meant to be."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.principals import Account
from regbroker.accounts.rights_tests import Expectation, WrongLine, parse_tests


def parsed(text: str) -> Expectation:
    """The one thing that a line expects."""
    (expectation,) = parse_tests(text)
    assert isinstance(expectation, Expectation), expectation
    return expectation


class ParseTests(SynchronousTestCase):
    def test_user(self) -> None:
        """Who, what, where, and what is meant."""
        self.assertEqual(
            list(parse_tests("\n# comment\n  alice pull team/app: allowed  \n")),
            [Expectation(3, "alice", Account("alice"), "pull", "team/app", True)],
        )
        self.assertFalse(parsed("bob push x:denied").allowed)

    def test_several(self) -> None:
        """Several actions and names are as many expectations."""
        found = list(parse_tests("alice pull,push a b/c: denied"))
        self.assertEqual(
            [(e.action, e.name) for e in found if isinstance(e, Expectation)],
            [("pull", "a"), ("pull", "b/c"), ("push", "a"), ("push", "b/c")],
        )

    def test_groups(self) -> None:
        """Groups stand after the user; quotes are for spaces."""
        line = parsed('alice@example.com @staff "@Domain Users" pull x: allowed')
        self.assertEqual(
            line.account,
            Account("alice@example.com", frozenset({"staff", "Domain Users"})),
        )
        self.assertEqual(line.who, "alice@example.com @staff @Domain Users")
        self.assertEqual(parsed('"a b" pull x: denied').account, Account("a b"))
        self.assertEqual(
            parsed('"anonymous" pull x: denied').account, Account("anonymous")
        )

    def test_nobody(self) -> None:
        """Somebody without a login, and somebody with one whom no rule names."""
        self.assertIsNone(parsed("anonymous pull x: allowed").account)
        self.assertEqual(parsed("authenticated pull x: allowed").account, Account(""))

    def test_identity(self) -> None:
        """Claims stand in braces: texts, lists, and named conditions."""
        line = parsed(
            'github{repository=evil/x, ref=refs/heads/main,aud=a|b,title="a, }b",'
            "release} push team/app: denied"
        )
        account = line.account
        assert account is not None
        self.assertEqual(account.identity, "github")
        self.assertEqual(
            account.claims,
            {
                "repository": "evil/x",
                "ref": "refs/heads/main",
                "aud": ("a", "b"),
                "title": "a, }b",
            },
        )
        self.assertEqual(account.conditions, {"release"})
        self.assertTrue(line.who.startswith("github{repository=evil/x,"))
        account = parsed("cluster{} pull x: denied").account
        self.assertEqual(account, Account("", identity="cluster"))

    def test_wrong(self) -> None:
        """What is no expectation is told with its line and what would be right."""
        for text, said in (
            ("alice pull x", "': allowed' or ': denied'"),
            ("alice pull x: maybe", "': allowed' or ': denied'"),
            ("alice: allowed", "who, what and where"),
            ("alice pull: allowed", "who, what and where"),
            (": allowed", "who, what and where"),
            ("alice , x: allowed", "who, what and where"),
            ('alice "" x: allowed', "who, what and where"),
            ("alice read x: allowed", "'read' is no action"),
            ("alice * x: allowed", "'*' is no action"),
            ("@staff pull x: allowed", "write a user before it"),
            ("alice@staff,dev push x: allowed", "groups stand after the user"),
            ("anonymous @staff pull x: allowed", "anonymous has no groups"),
            ("alice @ pull x: allowed", "has no groups"),
            ('alice "pull x: allowed', "a quote is open"),
            ("github{=x} pull x: allowed", "is no claim"),
        ):
            (wrong,) = parse_tests(f"\n{text}")
            assert isinstance(wrong, WrongLine), text
            self.assertEqual(wrong.line, 2)
            self.assertIn(said, wrong.problem)

    def test_wrong_hides_nothing(self) -> None:
        """The lines after a wrong one count."""
        found = list(parse_tests("x\nalice pull a: allowed\n"))
        self.assertEqual([type(each) for each in found], [WrongLine, Expectation])

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Whatever stands there, every line is an expectation or wrong."""
        lines = [
            number
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip() and not line.lstrip().startswith("#")
        ]
        self.assertEqual(sorted({each.line for each in parse_tests(text)}), lines)
