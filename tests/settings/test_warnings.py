"""Warnings about what has no effect, or may not be meant."""

import re
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.warnings import warnings
from tests.settings.test_ini import parse, problems, warned

TEXT = """
    [regbroker]
    listen = {listen}
    {tls}
    [registry *]
    upstream = up
    namespaces = * = *
    anonymous = shared
    [upstream up]
    url = https://up.example
    username = u
    password-file = p
    {upstream}
"""


class AdviceTests(SynchronousTestCase):
    def advice(
        self,
        *,
        listen: str = "tls:443",
        tls: str = "",
        upstream: str = "",
        programs: tuple[str, ...] = (),
    ) -> list[str]:
        """The warnings, with these programs in PATH."""
        text = TEXT.format(listen=listen, tls=tls, upstream=upstream)
        if "credential-helper" in upstream:
            text = text.replace("username = u", "").replace("password-file = p", "")
        return list(
            warnings(parse(text), lambda name: name if name in programs else None)
        )

    def test_nothing(self) -> None:
        """A configuration without anything in vain has no warnings."""
        self.assertEqual(self.advice(), [])

    def test_tls(self) -> None:
        """A certificate that no listener shows has no effect."""
        for title in ("tls", "tls a.example"):
            tls = f"[{title}]\n    certificate = a\n    key = b"
            for listen in ("tcp:80", "unix:/s", "proxy:tcp:1"):
                with_proxies = f"{listen}\n    trusted-proxies = 10.0.0.1"
                (warning,) = self.advice(listen=with_proxies, tls=tls)
                start = f"[{title}] certificate: nothing listens with TLS, "
                self.assertTrue(warning.startswith(start), warning)
            self.assertEqual(self.advice(listen="tls:443", tls=tls), [])
        self.assertEqual(self.advice(listen="tcp:80"), [])

    def test_metrics(self) -> None:
        """To count by repository has no effect where nobody can ask for metrics."""
        (warning,) = self.advice(listen="tls:443\n    metrics-repositories = yes")
        self.assertIn("[regbroker] metrics-repositories: there are no me", warning)
        listen = "tls:443\n    metrics-repositories = yes\n    admin-listen = tcp:1"
        self.assertEqual(self.advice(listen=listen), [])

    def test_token_hosts(self) -> None:
        """Beside a realm they have no effect."""
        hosts, realm = "token-hosts = a.example", "realm = https://a.example/token"
        (warning,) = self.advice(upstream=f"{hosts}\n    {realm}")
        start = "[upstream up] token-hosts: has no effect beside realm, "
        self.assertTrue(warning.startswith(start), warning)
        for alone in (hosts, realm):
            self.assertEqual(self.advice(upstream=alone), [])

    def test_ca_file(self) -> None:
        """It is for https alone."""
        for url, count in (
            ("https://up.example", 0),
            ("http://up.example", 1),
            ("sandbox:", 1),
        ):
            text = TEXT.format(listen="tcp:80", tls="", upstream="ca-file = ca.pem")
            text = re.sub("url = .*", f"url = {url}", text)
            said = [w for w in warnings(parse(text), lambda name: None) if "ca-f" in w]
            expected = ["[upstream up] ca-file: needs an https url; take it out"]
            self.assertEqual(said, expected * count, url)

    def test_credential_helper(self) -> None:
        """A program that is not there is said, and what its name may be."""
        for name, programs, right in (
            ("ecr-login", ("docker-credential-ecr-login",), None),
            ("ecr-login", (), "install it there"),
            (
                "docker-credential-gcr",
                ("docker-credential-gcr",),
                "write 'credential-helper = gcr', without docker-credential-",
            ),
            (
                "docker-credential-gcr",
                ("docker-credential-docker-credential-gcr",),
                None,
            ),
        ):
            lines = self.advice(
                upstream=f"credential-helper = {name}", programs=programs
            )
            expected = (
                "[upstream up] credential-helper: there is no program "
                f"docker-credential-{name} in PATH; {right}"
            )
            self.assertEqual(lines, [expected] if right else [])

    def test_basic(self) -> None:
        """Where docker is asked for Basic, anonymous rights do not help it."""
        text = TEXT.format(listen="tcp:80", tls="", upstream="").replace(
            "anonymous = shared",
            "accounts = staff\n    challenge = basic\n    [accounts staff]\n"
            "    htpasswd = h\n    [access staff]\n    anonymous = **: pull",
        )
        config = parse(text)
        (warning,) = warnings(config, lambda name: None)
        self.assertTrue(warning.startswith("[registry *] challenge: "), warning)
        (entry,) = config.registries
        bearer = replace(config, registries=(replace(entry, basic_challenge=False),))
        self.assertEqual(list(warnings(bearer, lambda name: None)), [])


ACCOUNT = "username = robot\npassword-file = password"
HELPER = "credential-helper = ecr-login"

SEVERAL = """
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


class SeveralCase(SynchronousTestCase):
    def warned(
        self,
        registry: str = "upstream = one, two",
        one: str = "",
        two: str = "",
        staff: str = "upstream = mine",
    ) -> list[str]:
        """The warnings about three registries and three upstreams."""
        return warned(SEVERAL.format(registry=registry, one=one, two=two, staff=staff))

    def test_nothing(self) -> None:
        """The whole is right."""
        self.assertEqual(self.warned(), [])


class RuleTests(SeveralCase):
    """Rules of [registry HOST] and [access NAME]."""

    def test_namespaces(self) -> None:
        """A rule for all upstreams, where each has its own."""
        text = SEVERAL.replace("{registry}\nnamespaces = * = *", "{registry}")
        rules = "namespaces =\n  * = *\n  * = one:a/*\n  team = b"
        (warning,) = warned(
            text.format(
                registry=f"upstream = one\n{rules}",
                one="",
                two="",
                staff="upstream = mine, two",
            )
        )
        self.assertEqual(
            warning,
            "[registry a.example] namespaces: '* = *' never applies: each upstream has "
            "a rule of its own for '*'; take it out",
        )

    def test_access(self) -> None:
        """Sections and users whose lines are all comments grant nothing."""
        for line, start in (
            ("; alice = **: pull", "[access staff]: empty, so everything is refused; "),
            ("alice =\n  ; **: pull", "[access staff] alice: empty, so it grants "),
        ):
            text = SEVERAL.replace("alice = **: pull", line).format(
                registry="upstream = one, two", one="", two="", staff="upstream = mine"
            )
            (warning,) = warned(text)
            self.assertTrue(warning.startswith(start), warning)


class HostsTests(SeveralCase):
    def test_sections_of_their_own(self) -> None:
        """A host that has a section is served by that."""
        text = SEVERAL.replace("[registry a.example]", "[registry *]")
        lines = warned(
            text.format(
                registry="upstream = one, two\nhosts = a.example, mine.example, *.b",
                one="",
                two="",
                staff="upstream = mine",
            )
        )
        self.assertEqual(
            lines,
            [
                "[registry *] hosts: mine.example has a section of its own, which "
                "serves it; take it out here"
            ],
        )


class AccountTests(SeveralCase):
    """Our own account at an upstream, and who uses it."""

    def test_unused(self) -> None:
        """One that is neither shared nor used for accounts of our own."""
        for account, option in ((ACCOUNT, "username"), (HELPER, "credential-helper")):
            self.assertEqual(
                self.warned(two=account),
                [
                    f"[upstream two] {option}: nobody uses it; write 'anonymous = "
                    "shared' in the [registry ...] that leads here, or give that "
                    "accounts of its own"
                ],
            )

    def test_used(self) -> None:
        """It is shared, or used for accounts of our own, where one registry says so."""
        sharing = "upstream = one, two\nanonymous = shared"
        self.assertEqual(self.warned(sharing, two=ACCOUNT), [])
        staff = "upstream = mine, two"
        self.assertEqual(self.warned(two=HELPER, staff=staff), [])

    def test_nothing_to_share(self) -> None:
        """There is none, though it shall be shared."""
        self.assertEqual(
            self.warned("upstream = one, two\nanonymous = shared"),
            [
                "[registry a.example] anonymous: there is no account to share; write "
                "username and password-file, or credential-helper, in [upstream one]"
            ],
        )

    def test_no_more_than_is_wrong(self) -> None:
        """A registry or an account that cannot be read brings no second line."""
        sharing = "upstream = one, two\nanonymous = shared"
        for registry, one in (
            ("upstream = one, two\nanonymous = lent", ACCOUNT),
            ("upstream = one, two\naccounts = nobody", HELPER),
            (sharing, "credential-helper = ../x"),
            (sharing, "username = robot"),
            ("upstream = one, two", "answer-timeout = 901\ntimeout = soon"),
        ):
            lines = problems(
                SEVERAL.format(
                    registry=registry, one=one, two="", staff="upstream = mine"
                )
            )
            self.assertEqual(len(lines), 1, lines)


class OptionTests(SeveralCase):
    """Options that need something elsewhere."""

    def test_redirects(self) -> None:
        """Hosts and paths that may be redirected to, where redirects are followed."""
        follow = "redirects = follow"
        for option, value in (
            ("redirect-hosts", "minio.internal"),
            ("redirect-paths", "/downloads/"),
        ):
            line = f"{option} = {value}"
            (warning,) = self.warned(two=line)
            self.assertEqual(
                warning,
                f"[upstream two] {option}: no [registry ...] that leads here follows "
                "redirects; write 'redirects = follow' there, or take it out",
            )
            self.assertEqual(
                self.warned(f"upstream = one, two\n{follow}", two=line), []
            )
            staff = f"upstream = mine, two\n{follow}"
            self.assertEqual(self.warned(two=line, staff=staff), [])

    def test_answer_timeout(self) -> None:
        """Who waits for an answer may ask another upstream instead."""
        self.assertEqual(self.warned(two="answer-timeout = 5"), [])
        (warning,) = self.warned(
            "upstream = two",
            one="answer-timeout = 5",
            staff="upstream = one",
        )
        self.assertEqual(
            warning,
            "[upstream one] answer-timeout: there is no other upstream to ask instead; "
            "take it out, or write timeout",
        )

    def test_answer_timeout_above_timeout(self) -> None:
        """The other time would be over first."""
        for times, expected in (
            ("answer-timeout = 901", "longer than timeout, which is 900 here"),
            ("answer-timeout = 4\ntimeout = 3", "longer than timeout, which is 3 here"),
        ):
            (warning,) = self.warned(one=times)
            self.assertIn(expected, warning)
        for times in ("answer-timeout = 3\ntimeout = 3", "timeout = 3"):
            self.assertEqual(self.warned(one=times), [])

    def test_credential_server(self) -> None:
        """It is for a helper."""
        (warning,) = self.warned(one="credential-server = one.example")
        self.assertEqual(
            warning,
            "[upstream one] credential-server: needs a credential-helper beside it",
        )

    def test_search_url(self) -> None:
        """A registry searches the first of its upstreams that can be searched."""
        search = "search-url = https://index.example"
        self.assertEqual(self.warned(two=search), [])
        (warning,) = self.warned(one=search, two=search)
        self.assertEqual(
            warning,
            "[upstream two] search-url: each [registry ...] that leads here searches "
            "an upstream that comes before this one; take it out",
        )
        self.assertEqual(
            self.warned(one=search, two=search, staff="upstream = mine, two"), []
        )
