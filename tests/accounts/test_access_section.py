"""Access sections: what is read, and what is told of them."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.access_section import InvalidAccess, parse_access
from tests.accounts.test_access import ALICE, rules


class ParsingTests(SynchronousTestCase):
    def problems(self, options: dict[str, str]) -> tuple[str, ...]:
        with self.assertRaises(InvalidAccess) as caught:
            parse_access(options)
        problems: tuple[str, ...] = caught.exception.problems
        return problems

    def test_separators(self) -> None:
        """Commas and spaces separate; lines are grants."""
        one = rules(alice="a/**, b : pull,push\nc: delete")
        self.assertEqual(one, rules(alice="\n a/** b:pull push\n\n c :delete\n"))
        self.assertEqual(len(one.grants), 2)

    def test_all_problems(self) -> None:
        """Every problem is told, with its subject."""
        problems = self.problems(
            {
                "alice": "team/**: pull, write\nTeam: pull\nteam/**",
                "@": "a: pull",
                "a:b": "a: pull",
                "dave": ": pull\na:",
                "github[": "a: pull",
                "github[ref=main": "a: pull",
                "good": "${user}/**: *",
            }
        )
        expected = [
            ("alice", "'write' is no action; there are: pull, push, delete, catalog"),
            ("alice", "'Team' is no pattern"),
            ("alice", "'team/**' is not 'patterns: actions'"),
            ("@", "group's name"),
            ("a:b", "this is nobody"),
            ("dave", "is not 'patterns: actions'"),
            ("dave", "is not 'patterns: actions'"),
            ("github[", "write ] behind the conditions"),
            ("github[ref=main", "write ] behind the conditions"),
        ]
        self.assertEqual(len(problems), len(expected), problems)
        for problem, (subject, text) in zip(problems, expected, strict=True):
            self.assertTrue(problem.startswith(f"{subject}: "), problem)
            self.assertIn(text, problem)

    def test_nothing(self) -> None:
        """Without rules, or without lines in them, nothing is granted."""
        for options in ({}, {"alice": "", "anonymous": "\n"}):
            nothing = parse_access(options)
            self.assertFalse(nothing.anonymous_may_anything)
            self.assertFalse(nothing.allows_catalog(ALICE))
            self.assertFalse(nothing.allows(ALICE, "pull", "team/app"))
