"""The ini file: what it may say, and how it is told what is wrong."""

from pathlib import PurePath
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import ConfigurationError
from regbroker.protocol.origins import Origin
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config
from regbroker.settings.warnings import warnings
from regbroker.transport.listening.listeners import CertificateFiles, Listener

WHOLE = """
    [regbroker]
    listen =
        tls:443
        tcp:8080:interface=127.0.0.1
        tls:8443:interface=\\:\\:1   ; loopback, too
        tls:systemd:domain=INET:index=0
    state-directory = state
    trusted-proxies = 10.0.0.0/8, 192.0.2.1

    [tls]
    certificate = a.pem
    key = /keys/a.key

    [tls *.example.org]
    certificate = b.pem
    key = b.key

    [registry registry.example.com]
    upstream = aliyun
    token-path = /token
    catalog = deny
    namespaces =
        team = acme_team
        * = acme_*

    [registry *]
    upstream = box
    namespaces = * = *

    [upstream aliyun]
    url = https://registry.cn-shenzhen.aliyuncs.com
    ca-file = ca.pem
    timeout = 30
    connect-timeout = 2.5
    token-hosts = auth.example.net other.example.net

    [upstream box]
    url = sandbox:
    users =
        alice:wonder:land
        bob:builder
"""


def parse(text: str, missing: tuple[str, ...] = ()) -> Config:
    """Parse an indented text; the files named in `missing` cannot be read."""

    def check_file(path: PurePath) -> str | None:
        return f"{path} cannot be read" if path.name in missing else None

    return parse_config(dedent(text), PurePath("/etc/regbroker"), check_file)


def problems(text: str, missing: tuple[str, ...] = ()) -> list[str]:
    """Return what is wrong with a text."""
    try:
        parse(text, missing)
    except ConfigurationError as error:
        return list(error.problems)
    return []


def warned(text: str) -> list[str]:
    """Return the warnings about a text that has no problems."""
    return list(warnings(parse(text), lambda program: program))


class WholeTests(SynchronousTestCase):
    """A file that uses everything."""

    def setUp(self) -> None:
        self.config = parse(WHOLE)

    def test_listeners(self) -> None:
        """Each line is a listener; ``tls:`` stands before any endpoint."""
        self.assertEqual(
            [(entry.endpoint, entry.tls) for entry in self.config.listen],
            [
                ("tcp:443", True),
                ("tcp:8080:interface=127.0.0.1", False),
                ("tcp:8443:interface=\\:\\:1", True),
                ("systemd:domain=INET:index=0", True),
            ],
        )

    def test_paths_start_from_the_file(self) -> None:
        """Relative paths start from the file's directory, absolute ones do not."""
        self.assertEqual(self.config.state_directory, PurePath("/etc/regbroker/state"))
        self.assertEqual(
            self.config.certificates[0],
            CertificateFiles(
                "", PurePath("/etc/regbroker/a.pem"), PurePath("/keys/a.key")
            ),
        )
        self.assertEqual(self.config.certificates[1].host, "*.example.org")

    def test_trusted_proxies(self) -> None:
        """Addresses and networks are both networks."""
        self.assertEqual(
            [str(network) for network in self.config.trusted_proxies],
            ["10.0.0.0/8", "192.0.2.1/32"],
        )

    def test_registries(self) -> None:
        """A registry has its rules, its upstream and its token service."""
        first, default = self.config.registries
        self.assertEqual(
            (first.host, first.upstreams), ("registry.example.com", ("aliyun",))
        )
        self.assertEqual((first.token_path, first.catalog), ("/token", "deny"))
        self.assertEqual(first.mapping.route("team/app").upstream_name, "acme_team/app")
        self.assertEqual((default.host, default.token_path), ("*", "/auth"))
        self.assertEqual(default.mapping.route("a/b").upstream_name, "a/b")

    def test_upstreams(self) -> None:
        """An upstream has an origin; the sandbox has users instead."""
        aliyun, box = self.config.upstreams["aliyun"], self.config.upstreams["box"]
        self.assertEqual(
            aliyun.origin, Origin("https", "registry.cn-shenzhen.aliyuncs.com", 443)
        )
        self.assertEqual((aliyun.timeout, aliyun.connect_timeout), (30.0, 2.5))
        self.assertEqual(aliyun.token_hosts, ("auth.example.net", "other.example.net"))
        self.assertEqual(aliyun.ca_file, PurePath("/etc/regbroker/ca.pem"))
        self.assertIsNone(box.origin)
        self.assertEqual(box.users, {"alice": "wonder:land", "bob": "builder"})

    def test_passwords_are_not_shown(self) -> None:
        """The value can be logged."""
        self.assertNotIn("builder", repr(self.config))

    def test_defaults(self) -> None:
        """Only a registry and its upstream are needed; loopback is the default."""
        config = parse(
            """
            [registry a.example]
            upstream = b
            namespaces = * = *
            [upstream b]
            url = http://127.0.0.1:5000
            """
        )
        default = "tls:8443:interface=127.0.0.1"
        self.assertEqual(
            config.listen,
            (Listener(default, "tcp:8443:interface=127.0.0.1", True),),
        )
        self.assertEqual(config.state_directory, PurePath("/etc/regbroker/var"))
        self.assertEqual(config.certificates, ())

    def test_base_path(self) -> None:
        """An upstream may stand below a path; a trailing /v2 is not part of it."""
        for url, path in [
            ("https://h.example/artifactory/docker", "/artifactory/docker"),
            ("https://h.example/v2/", ""),
            ("https://h.example/", ""),
        ]:
            text = WHOLE.replace("https://registry.cn-shenzhen.aliyuncs.com", url)
            self.assertEqual(parse(text).upstreams["aliyun"].base_path, path)


class WarningTests(SynchronousTestCase):
    def test_right(self) -> None:
        """The whole file has no warnings."""
        self.assertEqual(warned(WHOLE), [])

    def test_no_effect(self) -> None:
        """An option without effect is a warning, with the option that has it."""
        for section, line, expected in (
            ("upstream aliyun", "service = x", "needs a realm"),
            ("upstream aliyun", "users = a:b", "belongs to 'url = sandbox:' only"),
            ("upstream box", "ca-file = ca.pem", "needs an https url"),
        ):
            title, option = f"    [{section}]\n", line.partition(" =")[0]
            (warning,) = warned(WHOLE.replace(title, f"{title}    {line}\n"))
            self.assertTrue(warning.startswith(f"[{section}] {option}: "), warning)
            self.assertIn(expected, warning)


class ProblemTests(SynchronousTestCase):
    """What is wrong is said with section, option, and what would be right."""

    def test_all_at_once(self) -> None:
        """Every problem of a file is told in one go."""
        lines = problems(
            """
            [regbroker]
            listen = 443
            colour = blue
            [tls]
            certificate = a.pem
            [registry Registry.example.com]
            upstream = nobody
            [upstream b]
            url = ftp://b
            timeout = soon
            [users]
            """,
            missing=("a.pem",),
        )
        for beginning in (
            "[regbroker] listen: '443': write tls:443",
            "[regbroker] colour: unknown option; known here: listen, ",
            "[tls] certificate: /etc/regbroker/a.pem cannot be read",
            "[tls] key: missing",
            "[registry Registry.example.com]: 'Registry.example.com' is no host name",
            "[registry Registry.example.com] upstream: there is no [upstream nobody]",
            "[registry Registry.example.com] namespaces: missing; write 'team = ",
            "[upstream b] url: write https://HOST",
            "[upstream b] timeout: 'soon' is not a number of seconds",
            "[users]: unknown section",
        ):
            self.assertEqual(
                len([line for line in lines if line.startswith(beginning)]),
                1,
                (beginning, lines),
            )
        self.assertEqual(len(lines), 10, lines)

    def test_one_wrong_value(self) -> None:
        """Wrong values, each with the option that has it."""
        for section, line, expected in [
            ("regbroker", "listen = tls:", "has no port"),
            ("regbroker", "listen = tcp:²", "has no port"),
            ("regbroker", "listen =\n  tls:1\n  tls:1", "stands twice"),
            ("upstream aliyun", "url = https://..", "write https://HOST"),
            ("upstream aliyun", "url = https://a/b c", "is not one"),
            ("upstream aliyun", "realm = http://a.example/t", "in the clear"),
            ("upstream aliyun", "realm = https://a.example/to ken", "the URL of"),
            ("regbroker", "listen = tls:99999", "has no port"),
            ("regbroker", "listen = udp:53", "is not understood"),
            ("regbroker", "listen =", "empty"),
            ("regbroker", "state-directory =", "empty"),
            ("regbroker", "trusted-proxies = everybody", "is no address or network"),
            ("registry registry.example.com", "token-path = auth", "a path such as"),
            ("regbroker", "admin-listen = tcp:8080", "both want port 8080"),
            ("regbroker", "admin-listen = tls:9180", "there is plain HTTP alone"),
            ("regbroker", "admin-listen = tcp:1:interface=0.0.0.0", "write public:"),
            ("regbroker", "metrics-repositories = true", "write yes or no"),
            ("regbroker", "log-format = xml", "write line or json"),
            ("regbroker", "audit-log =", "write a path"),
            ("regbroker", "health-path = healthz", "a path such as /healthz"),
            ("regbroker", "health-path = /v2/", "a path such as /healthz"),
            ("regbroker", "health-path = /token", "get their tokens; write another"),
            ("registry registry.example.com", "token-path = /v2/x", "outside /v1"),
            (
                "registry registry.example.com",
                "accounts = staff",
                "no [accounts staff]",
            ),
            ("registry registry.example.com", "catalog = all", "filter or deny"),
            ("registry registry.example.com", "namespaces = a", "is not 'public ="),
            ("registry registry.example.com", "namespaces = a = b*", "a star stands"),
            ("registry registry.example.com", "namespaces = A = b", "neither a"),
            ("registry registry.example.com", "namespaces =", "empty"),
            ("upstream aliyun", "url = https://user@host", "write https://HOST"),
            ("upstream aliyun", "token-hosts = https://a.example", "no host name"),
            ("upstream aliyun", "realm = /token", "the URL of the token service"),
            ("upstream box", "users = alice", "name:password"),
            ("upstream box", "realm = https://a.example/t", "means nothing to"),
            ("tls", "key =", "empty"),
        ]:
            option = line.partition(" =")[0]
            lines = dedent(WHOLE).splitlines()
            start = lines.index(f"[{section}]")
            # The option given first is the one that is looked at: take out the
            # example's own, with its continuation lines.
            body = lines[start + 1 :]
            kept, skipping = [], False
            for index, existing in enumerate(body):
                if existing.startswith("["):
                    kept += body[index:]
                    break
                if existing.startswith(f"{option} ="):
                    skipping = True
                elif not existing.startswith(" "):
                    skipping = False
                if not skipping:
                    kept.append(existing)
            text = "\n".join([*lines[: start + 1], line, *kept])
            reported = problems(text)
            self.assertEqual(len(reported), 1, (line, reported))
            self.assertTrue(reported[0].startswith(f"[{section}] {option}: "), reported)
            self.assertIn(expected, reported[0])

    def test_wrong_realm_with_a_service(self) -> None:
        """That the realm is wrong is no want of one."""
        text = WHOLE.replace("timeout = 30", "realm = token\n    service = a.example")
        (problem,) = problems(text)
        self.assertTrue(problem.startswith("[upstream aliyun] realm: write "), problem)

    def test_one_line(self) -> None:
        """A value of several lines is told on one."""
        for line, expected in (
            (
                "timeout = 3\n      4",
                "[upstream aliyun] timeout: '3 4' is not a number",
            ),
            (
                "show-address = a\n      b",
                "[upstream aliyun] show-address: 'a b' is not",
            ),
        ):
            text = WHOLE.replace("timeout = 30", line)
            (problem,) = problems(text)
            self.assertTrue(problem.startswith(expected), problem)
            self.assertNotIn("\n", problem)

    def test_unused_upstream(self) -> None:
        """An upstream that no registry leads to is a warning, and no problem."""
        more = WHOLE + "\n    [upstream more]\n    url = https://more.example\n"
        (warning,) = warned(more)
        self.assertTrue(
            warning.startswith("[upstream more]: no [registry HOST] uses it")
        )
        # Where rules or upstreams cannot be read, it may be meant there.
        for line, wrong in (
            ("namespaces = * = *", "namespaces = * = more:*x"),
            ("namespaces = * = *", "catalog = filter"),
            ("upstream = box", "upstream = mroe"),
        ):
            (reported,) = problems(more.replace(line, wrong))
            self.assertTrue(reported.startswith("[registry *] "), reported)

    def test_rules_are_quoted(self) -> None:
        """What is wrong with a rule is told with the whole line, once."""
        for line, expected in (
            ("k8s/* = box:", "'k8s/* = box:': '' is neither a namespace"),
            ("A=b", "'A = b': 'A' is neither a namespace"),
            ("a=b*", "'a = b*': a star stands on both sides or on neither"),
            ("a = b = c", "'a = b = c' is not 'public = upstream'"),
            ("a", "'a' is not 'public = upstream'"),
        ):
            (problem,) = problems(
                WHOLE.replace("namespaces = * = *", f"namespaces = {line}")
            )
            self.assertTrue(
                problem.startswith(f"[registry *] namespaces: {expected}"), problem
            )

    def test_rules_that_contradict(self) -> None:
        """Rules that cannot be told apart on the way back are both named."""
        (problem,) = problems(
            """
            [registry a.example]
            upstream = b
            namespaces =
                one = shared
                two = shared
            [upstream b]
            url = sandbox:
            """
        )
        self.assertIn("'one = shared' and 'two = shared'", problem)

    def test_syntax(self) -> None:
        """What is no ini file is told with its line, without a traceback."""
        for text, expected in [
            ("a = b\n", "before the first [section]"),
            ("[regbroker]\nlisten\n", "line 2: neither"),
            ("[tls]\n[tls]\n", "stands twice"),
            ("[tls]\nkey = a\nkey = b\n", "[tls] key: line 3: given twice"),
        ]:
            self.assertIn(expected, problems(text)[0])

    def test_twice_in_other_words(self) -> None:
        """Two sections for one thing are found however they are spaced."""
        (problem,) = problems(WHOLE + "\n    [upstream  box]\n    url = sandbox:\n")
        self.assertEqual(
            problem, "[upstream box]: this section stands twice; once is right"
        )

    def test_hosts(self) -> None:
        """What DNS cannot have is no host; addresses are, in brackets for IPv6."""
        for host, good in [
            ("localhost", True),
            ("a_b.example.com", True),
            ("192.0.2.1", True),
            ("[::1]", True),
            ("a..b", False),
            ("[:::]", False),
            ("a" * 64 + ".example", False),
            ("-a.example", False),
        ]:
            text = WHOLE.replace("registry.example.com]", f"{host}]")
            lines = [line for line in problems(text) if "is no host name" in line]
            self.assertEqual(lines == [], good, (host, lines))

    def test_nothing_to_serve(self) -> None:
        """A file without a registry says what is missing."""
        (problem,) = problems("[regbroker]\n")
        self.assertIn("no [registry HOST] section", problem)

    def test_nameless(self) -> None:
        """Sections that others name need a name; nothing else is said of them."""
        for title, right in (
            ("registry", "[registry HOST], or [registry *]"),
            ("upstream", "[upstream NAME]"),
            ("accounts", "[accounts NAME]"),
            ("access", "[access NAME]"),
        ):
            (problem,) = problems(WHOLE + f"\n    [{title}]\n    a = b\n")
            self.assertEqual(
                problem, f"[{title}]: the section needs a name; write {right}"
            )
        whole = WHOLE.replace(
            "[tls]", "ns = a.test = registry.example.com\n\n    [tls]"
        )
        (problem,) = problems(
            whole.replace("[registry registry.example.com]", "[registry]")
        )
        self.assertIn("[registry]: the section needs a name", problem)

    def test_named_certificate_needs_one(self) -> None:
        """A [tls NAME] without a certificate would serve nothing."""
        (problem,) = problems(WHOLE + "\n    [tls hub.example.com]\n")
        self.assertIn("[tls hub.example.com] certificate: missing", problem)


class MirrorTests(SynchronousTestCase):
    """Which registries those here are mirrors of."""

    def with_mirrors(self, *lines: str) -> str:
        """The whole file with these lines of ``ns``."""
        table = "".join(f"\n        {line}" for line in lines)
        return WHOLE.replace("    [tls]\n", f"    ns ={table}\n\n    [tls]\n", 1)

    def test_mirrors(self) -> None:
        """Each leads to a registry; its name is in lower case."""
        text = self.with_mirrors(
            "Docker.IO = registry.example.com", "localhost:5000 = *", "[::1]:5000=*"
        )
        self.assertEqual(
            parse(text).mirrors,
            {
                "docker.io": "registry.example.com",
                "localhost:5000": "*",
                "[::1]:5000": "*",
            },
        )
        self.assertEqual(parse(WHOLE).mirrors, {})

    def test_wrong(self) -> None:
        """It is said what would be right."""
        for line, expected in (
            ("docker.io = nobody.example", "no [registry nobody.example] section"),
            ("docker.io", "SOURCE = HOST"),
            ("https://docker.io = *", "SOURCE = HOST"),
            ("docker.io = a b", "SOURCE = HOST"),
            ("= *", "SOURCE = HOST"),
        ):
            (problem,) = problems(self.with_mirrors(line))
            self.assertIn("[regbroker] ns: ", problem)
            self.assertIn(expected, problem)
        (problem,) = problems(self.with_mirrors("a.test = *", "A.test = *"))
        self.assertIn("stands twice", problem)

    def test_token_paths(self) -> None:
        """No token service is hidden by that of a source."""
        text = self.with_mirrors("docker.io = registry.example.com").replace(
            "    upstream = box\n", "    upstream = box\n    token-path = {}\n"
        )
        (problem,) = problems(text.format("/token/docker.io"))
        self.assertIn("[registry *] token-path: /token/docker.io is where", problem)
        for path in ("/token", "/token/quay.io", "/auth/docker.io"):
            self.assertEqual(problems(text.format(path)), [])
