"""What is said of an htpasswd file."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.htpasswd_report import htpasswd_problems, htpasswd_warnings
from tests.accounts.hashes import BCRYPT, CRYPT, SHA1


class HtpasswdReportTests(SynchronousTestCase):
    def said(self, *lines: str) -> tuple[list[str], list[str]]:
        """Problems and warnings about a file with these lines, without its path."""
        path = Path(self.mktemp())
        path.write_text("".join(f"{line}\n" for line in lines))
        found = list(htpasswd_problems(path)), list(htpasswd_warnings(path))
        for each in (*found[0], *found[1]):
            self.assertTrue(each.startswith(f"{path}: "), each)
        problems, warnings = (
            [each.removeprefix(f"{path}: ").replace(str(path), "FILE") for each in part]
            for part in found
        )
        return problems, warnings

    def test_good(self) -> None:
        """A file of bcrypt has nothing to be said of."""
        self.assertEqual(self.said(f"a:{BCRYPT}", f"b:{BCRYPT}"), ([], []))

    def test_damaged(self) -> None:
        """Lines that cannot be understood are told by what is wrong with them."""
        problems, warnings = self.said("a", f"b:{BCRYPT[:40]}", f"c:{BCRYPT}", "d")
        self.assertEqual(
            problems,
            [
                "lines 1, 4: no colon between user and hash",
                "line 2: the hash is damaged, or cut off",
            ],
        )
        self.assertEqual(warnings, [])

    def test_some_cannot(self) -> None:
        """Hashes without support are warnings as long as somebody can log in."""
        lines = ("a:$y$x", "b:hunter2", "c:$y$y")
        problems, warnings = self.said(*lines, f"d:{BCRYPT}")
        self.assertEqual(problems, [])
        self.assertEqual(len(warnings), 2)
        self.assertIn(
            "lines 1, 3: a yescrypt hash, which is not supported", warnings[0]
        )
        self.assertNotIn("hunter2", "".join(warnings))
        problems, warnings = self.said(*lines)
        self.assertEqual(len(problems), 3)
        self.assertIn("nobody in it can log in", problems[-1])
        self.assertEqual(warnings, [])

    def test_nobody(self) -> None:
        """An empty file is no problem, and nobody can log in."""
        problems, (warning,) = self.said("# nobody yet")
        self.assertEqual(problems, [])
        self.assertIn("no line with a user", warning)

    def test_weak(self) -> None:
        """What is guessed fast is told by kind, with a user or their number."""
        _, warnings = self.said(
            "a:{PLAIN}x", f"b:{SHA1}", f"c:{SHA1}", f"d:{CRYPT}", f"e:{BCRYPT}"
        )
        self.assertEqual(len(warnings), 3)
        self.assertIn("for 'a' it holds the password itself", warnings[0])
        self.assertIn("for 2 users it holds SHA-1 without salt", warnings[1])
        self.assertIn("counts 8 characters", warnings[2])

    def test_repeated(self) -> None:
        """A user's second line has no effect."""
        _, (warning,) = self.said(f"a:{BCRYPT}", f"a:{BCRYPT}")
        self.assertIn("line 2: the user has a line above", warning)
