"""Rights in a token: what is left, and what would be too much."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.access_section import parse_access
from regbroker.accounts.narrowing import Rights, parse_rights, wider
from regbroker.accounts.principals import Account
from regbroker.protocol.scopes import parse_scopes

RULES = parse_access(
    {
        "deploy": "team/**: pull, push\nother/app: pull",
        "@staff": "tools/**: pull",
        "authenticated": "home/${user}/**: pull, push, delete",
        "anonymous": "lib/**: pull, catalog",
    }
)


def limited(*lines: str) -> Account:
    """An account of deploy with a token's rights."""
    return Account("deploy", frozenset({"staff"}), limits=parse_rights(lines))


class LimitsTests(SynchronousTestCase):
    def test_both_must_allow(self) -> None:
        """What the rules give and the token has is allowed, and nothing else."""
        account = limited("team/app, tools/**: pull, push")
        for action, name, allowed in (
            ("pull", "team/app", True),
            ("push", "team/app", True),
            ("delete", "team/app", False),
            ("pull", "team/other", False),
            ("pull", "tools/x", True),
            ("push", "tools/x", False),
            # Not even what everybody may.
            ("pull", "lib/x", False),
            ("pull", "home/deploy/x", False),
        ):
            self.assertEqual(RULES.allows(account, action, name), allowed, name)

    def test_catalog(self) -> None:
        """The catalog is a right like the others."""
        self.assertFalse(RULES.allows_catalog(limited("**: pull")))
        account = limited("lib/a: catalog")
        self.assertTrue(RULES.allows_catalog(account))
        self.assertTrue(RULES.allows(account, "catalog", "lib/a"))
        self.assertFalse(RULES.allows(account, "catalog", "lib/b"))

    def test_scopes(self) -> None:
        """A token of ours holds what is left."""
        (scope,) = parse_scopes(["repository:team/app:*"])
        granted = RULES.granted(limited("team/**: pull"), scope)
        self.assertEqual(granted and granted.actions, ("pull",))

    def test_no_limits(self) -> None:
        """Without limits the rules alone count."""
        self.assertTrue(RULES.allows(Account("deploy"), "push", "team/app"))


class ParseTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Rights are written back as they were read, in one order."""
        rights = parse_rights(["team/**,x:push pull", "lib/*: *"])
        self.assertEqual(
            rights.lines,
            ("team/**, x: pull, push", "lib/*: pull, push, delete, catalog"),
        )
        self.assertEqual(parse_rights(rights.lines), rights)

    def test_wrong(self) -> None:
        """Each is refused with what would be right."""
        for lines, said in (
            ([], "no rights"),
            (["team/**"], "is not 'patterns: actions'"),
            (["team/**: read"], "'read' is no action"),
            (["Team/**: pull"], "is no pattern"),
            (["home/${user}: pull"], "write the name of that user"),
        ):
            with self.assertRaises(ValueError) as caught:
                parse_rights(lines)
            self.assertIn(said, str(caught.exception))


class WiderTests(SynchronousTestCase):
    def said(self, *lines: str, groups: frozenset[str] = frozenset()) -> list[str]:
        account = Account("deploy", groups)
        return list(wider(parse_rights(lines), RULES, account))

    def test_not_wider(self) -> None:
        """What the rules give together may be written into a token."""
        self.assertEqual(
            self.said("team/**, other/app, lib/a, home/deploy/**: pull"), []
        )
        self.assertEqual(self.said("home/deploy/x: delete", "lib/*: catalog"), [])
        self.assertEqual(self.said("tools/a: pull", groups=frozenset({"staff"})), [])

    def test_wider(self) -> None:
        """Each right that is missing is named, with a name that shows it."""
        self.assertEqual(
            self.said("other/*: pull, push", "tools/a: pull"),
            [
                "'other/*: pull': deploy may not pull other/x",
                "'other/*: push': deploy may not push other/x",
                "'tools/a: pull': deploy may not pull tools/a",
            ],
        )
        # What may be pulled there may not be pushed there.
        self.assertEqual(
            self.said("other/app: push"),
            ["'other/app: push': deploy may not push other/app"],
        )
        self.assertEqual(
            self.said("home/**: delete"),
            ["'home/**: delete': deploy may not delete home"],
        )

    def test_nothing(self) -> None:
        """Nobody without rights can pass any on."""
        rules = parse_access({})
        rights = Rights(parse_rights(["a: pull"]).grants)
        self.assertEqual(
            list(wider(rights, rules, Account("eve"))),
            ["'a: pull': eve has no right to pull anything"],
        )

    def test_user_that_is_no_component(self) -> None:
        """A user's name says no more than the pattern does."""
        account = Account("a/**")
        said = list(wider(parse_rights(["home/a/x: pull"]), RULES, account))
        self.assertEqual(said, ["'home/a/x: pull': a/** may not pull home/a/x"])
