"""Identities of one registry that could be taken for each other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.settings.test_account_sections import TEXT
from tests.settings.test_ini import problems, warned

OTHER = """
    [identity other]
    issuer = https://other.test
    audience = registry.test
"""


class ClashTests(SynchronousTestCase):
    def clashes(self, *options: str, text: str = TEXT) -> list[str]:
        other = OTHER + "".join(f"    {option}\n" for option in options)
        return problems(text.replace("staff, github", "staff, github, other") + other)

    def test_none(self) -> None:
        """Two issuers, whose users begin differently."""
        self.assertEqual(self.clashes(), [])

    def test_issuer(self) -> None:
        """The issuer says which section a token is for."""
        text = TEXT.replace("https://github.test", "https://other.test")
        (problem,) = self.clashes(text=text)
        self.assertIn(
            "[identity other] issuer: [identity github] has the same", problem
        )

    def test_user(self) -> None:
        """No issuer makes a name that could be another one's."""
        for user in ("github:${sub}", "github:x:${sub}", "git${sub}"):
            (problem,) = self.clashes(f"user = {user}")
            self.assertIn("[identity other] user: ", problem)

    def test_apart(self) -> None:
        """In different registries they do not meet."""
        self.assertEqual(problems(TEXT + OTHER + "    user = github:${sub}\n"), [])

    def test_groups(self) -> None:
        """A group with rights that two issuers may give is warned of."""
        text = TEXT.replace("staff, github", "staff, github, other").replace(
            "alice =", "@team:a = team/**: pull\n    alice ="
        )
        text = text.replace(
            "audience = registry.test",
            "audience = registry.test\n    groups = team:${groups}",
        )
        for groups, is_shared in (
            ("", False),
            ("groups = other:${groups}", False),
            ("groups = team:b${groups}", False),
            ("groups = team:${groups}", True),
            ("groups = t${groups}", True),
        ):
            told = warned(text + OTHER + f"    {groups}\n")
            self.assertEqual(len(told), is_shared, told)
            if is_shared:
                self.assertEqual(
                    told[0],
                    "[access staff] @team:a: it is given by [identity github] and by "
                    "[identity other], and each issuer may mean other people; begin "
                    "the groups of each differently",
                )
