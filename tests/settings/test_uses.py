"""Options that have no effect."""

from twisted.trial.unittest import SynchronousTestCase

from tests.settings.test_ini import problems

ACCOUNT = "username = robot\npassword-file = password"
HELPER = "credential-helper = ecr-login"

WHOLE = """
[registry a.example]
{registry}
namespaces = * = *
[upstream one]
url = https://one.example
{one}
[upstream two]
url = https://two.example
{two}
[accounts staff]
htpasswd = htpasswd
[access staff]
alice = **: pull
[registry staff.example]
accounts = staff
{staff}
namespaces = * = *
[upstream mine]
url = https://mine.example
[registry mine.example]
upstream = mine
namespaces = * = *
"""


class UselessTestCase(SynchronousTestCase):
    def found(
        self,
        registry: str = "upstream = one, two",
        one: str = "",
        two: str = "",
        staff: str = "upstream = mine",
    ) -> list[str]:
        """What is wrong with three registries and three upstreams."""
        return problems(WHOLE.format(registry=registry, one=one, two=two, staff=staff))

    def test_nothing(self) -> None:
        """The whole is right."""
        self.assertEqual(self.found(), [])


class HostsTests(UselessTestCase):
    def test_sections_of_their_own(self) -> None:
        """A host that has a section is served by that."""
        text = WHOLE.replace("[registry a.example]", "[registry *]")
        found = problems(
            text.format(
                registry="upstream = one, two\nhosts = a.example, mine.example, *.b",
                one="",
                two="",
                staff="upstream = mine",
            )
        )
        self.assertEqual(
            found,
            [
                "[registry *] hosts: mine.example has a section of its own, which "
                "serves it; take it out here"
            ],
        )


class AccountTests(UselessTestCase):
    """Our own account at an upstream, and who uses it."""

    def test_unused(self) -> None:
        """One that is neither lent nor used for accounts of our own."""
        for account, option in ((ACCOUNT, "username"), (HELPER, "credential-helper")):
            self.assertEqual(
                self.found(two=account),
                [
                    f"[upstream two] {option}: nobody uses it; write 'anonymous = "
                    "shared' in the [registry ...] that leads here, or give that "
                    "accounts of its own"
                ],
            )

    def test_used(self) -> None:
        """It is lent, or used for accounts of our own, where one registry says so."""
        lending = "upstream = one, two\nanonymous = shared"
        self.assertEqual(self.found(lending, two=ACCOUNT), [])
        staff = "upstream = mine, two"
        self.assertEqual(self.found(two=HELPER, staff=staff), [])

    def test_nothing_to_lend(self) -> None:
        """There is none, though it shall be lent."""
        self.assertEqual(
            self.found("upstream = one, two\nanonymous = shared"),
            [
                "[registry a.example] anonymous: there is no account to lend; write "
                "username and password-file, or credential-helper, in [upstream one]"
            ],
        )

    def test_no_more_than_is_wrong(self) -> None:
        """A registry or an account that cannot be read brings no second line."""
        lending = "upstream = one, two\nanonymous = shared"
        for registry, one in (
            ("upstream = one, two\nanonymous = lent", ACCOUNT),
            ("upstream = one, two\naccounts = nobody", HELPER),
            (lending, "credential-helper = ../x"),
            (lending, "username = robot"),
        ):
            found = self.found(registry, one)
            self.assertEqual(len(found), 1, found)


class OptionTests(UselessTestCase):
    """Options that need something elsewhere."""

    def test_redirects(self) -> None:
        """Hosts and paths that may be redirected to, where redirects are followed."""
        follow = "redirects = follow"
        for option, value in (
            ("redirect-hosts", "minio.internal"),
            ("redirect-paths", "/downloads/"),
        ):
            given = f"{option} = {value}"
            (found,) = self.found(two=given)
            self.assertEqual(
                found,
                f"[upstream two] {option}: no [registry ...] that leads here follows "
                "redirects; write 'redirects = follow' there, or take it out",
            )
            self.assertEqual(
                self.found(f"upstream = one, two\n{follow}", two=given), []
            )
            staff = f"upstream = mine, two\n{follow}"
            self.assertEqual(self.found(two=given, staff=staff), [])

    def test_answer_timeout(self) -> None:
        """Who waits for an answer may ask another upstream instead."""
        self.assertEqual(self.found(two="answer-timeout = 5"), [])
        (found,) = self.found(
            "upstream = two",
            one="answer-timeout = 5",
            staff="upstream = one",
        )
        self.assertEqual(
            found,
            "[upstream one] answer-timeout: there is no other upstream to ask instead; "
            "take it out, or write timeout",
        )

    def test_answer_timeout_above_timeout(self) -> None:
        """The other time would be over first."""
        for times, expected in (
            ("answer-timeout = 901", "longer than timeout, which is 900 here"),
            ("answer-timeout = 4\ntimeout = 3", "longer than timeout, which is 3 here"),
            ("answer-timeout = 901\ntimeout = soon", "'soon' is not a number"),
        ):
            (found,) = self.found(one=times)
            self.assertIn(expected, found)
        for times in ("answer-timeout = 3\ntimeout = 3", "timeout = 3"):
            self.assertEqual(self.found(one=times), [])

    def test_search_url(self) -> None:
        """A registry searches the first of its upstreams that can be searched."""
        search = "search-url = https://index.example"
        self.assertEqual(self.found(two=search), [])
        (found,) = self.found(one=search, two=search)
        self.assertEqual(
            found,
            "[upstream two] search-url: each [registry ...] that leads here searches "
            "an upstream that comes before this one; take it out",
        )
        self.assertEqual(
            self.found(one=search, two=search, staff="upstream = mine, two"), []
        )
