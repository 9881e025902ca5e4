"""Sections about accounts, rights and our own account upstream."""

from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.config import HtpasswdConfig, LdapConfig, RobotsConfig
from regbroker.transport.server.pace import Pace
from tests.settings.test_ini import parse, problems, warned

WHOLE = """
    [regbroker]
    listen = tcp:8080
    signing-key = key.pem
    deny-user-agents =
    client-timeout = 30
    body-timeout = 20
    min-upload-rate = 0
    max-connections = 500
    max-connections-per-address = 500

    [registry registry.example.com]
    upstream = bare
    accounts = staff
    access = rights
    challenge = basic
    token-life = 120
    public-url = https://registry.example.com
    namespaces = team = acme_team

    [registry open.example.com]
    upstream = cloud
    anonymous = shared: pull, push
    namespaces = * = *

    [upstream bare]
    url = http://127.0.0.1:5000
    username = regbroker
    password-file = password

    [upstream cloud]
    url = https://cloud.example
    credential-helper = ecr-login

    [accounts staff]
    ldap = ldap://dir.example.com/dc=example,dc=com
    ldap-start-tls = no
    ldap-bind-dn = cn=reader
    ldap-bind-password-file = reader
    ldap-group-base = ou=groups,dc=example,dc=com
    htpasswd =
        one
        two

    [access rights]
    Alice = team/**: pull, push
    @ops = team/app: *
"""


RIGHTS = """
    [access rights]
    Alice = team/**: pull
"""


WAY_OUT = """
    [registry *]
    upstream = up
    namespaces = * = *

    [upstream up]
    url = {}
    {}
"""


CLIENT_CA = """
    [regbroker]
    client-ca = /ca
"""


CERTIFIED = """
    [regbroker]
    {}

    [registry *]
    upstream = up
    namespaces = * = *
    accounts = certificate
    {}

    [upstream up]
    url = https://a.test

    {}
    alice = team/**: pull
"""


ROBOTS = """
    [regbroker]
    {main}
    [registry *]
    upstream = up
    namespaces = * = *
    accounts = {accounts}
    {registry}
    [upstream up]
    url = https://a.test
    [accounts staff]
    robots =
        {robots}
    [access staff]
    deploy = team/**: pull
"""


class RobotsTests(SynchronousTestCase):
    """Users without a password, and the tokens that they log in with."""

    def text(
        self,
        main: str = "revoked-tokens = revoked",
        accounts: str = "staff",
        registry: str = "robot-tokens = yes",
        robots: str = "deploy",
    ) -> str:
        return ROBOTS.format(
            main=main, accounts=accounts, registry=registry, robots=robots
        )

    def test_values(self) -> None:
        """Users are a source of accounts; files start from the file's directory."""
        config = parse(self.text(robots="deploy\n        ci"))
        (source,) = config.accounts["staff"].sources
        self.assertEqual(source, RobotsConfig(users=("deploy", "ci")))
        self.assertTrue(config.registries[0].robot_tokens)
        self.assertEqual(config.revoked_tokens, PurePath("/etc/regbroker/revoked"))
        self.assertEqual(warned(self.text()), [])

    def test_revoked(self) -> None:
        """Tokens that nobody could revoke are not taken."""
        (problem,) = problems(self.text(main=""))
        self.assertIn("[regbroker] revoked-tokens: missing", problem)
        self.assertEqual(warned(self.text(main="", registry="", robots="x"))[1:], [])

    def test_names(self) -> None:
        """A user is one line, without what no login can have."""
        for robots in ("", "a b", "a:b", "a\tb"):
            (problem,) = problems(self.text(robots=robots))
            self.assertIn("[accounts staff] robots: ", problem)

    def test_in_vain(self) -> None:
        """What has no effect is warned of."""
        (warning,) = warned(self.text(registry=""))
        self.assertIn("[accounts staff] robots: they cannot log in", warning)
        upstream = self.text(accounts="upstream", main="")
        said = "[registry *] robot-tokens: needs 'accounts = NAME'"
        self.assertTrue(any(said in each for each in warned(upstream)))
        (warning,) = warned(
            CERTIFIED.format(
                "client-ca = /ca", "robot-tokens = yes", "[access certificate]"
            )
        )
        self.assertIn("[registry *] robot-tokens: has no effect", warning)


class WholeTests(SynchronousTestCase):
    """A file that uses everything."""

    def setUp(self) -> None:
        self.config = parse(WHOLE)
        self.local, self.open = self.config.registries

    def test_sources(self) -> None:
        """Sources are asked in the order in which they are written."""
        ldap, one, two = self.config.accounts["staff"].sources
        assert isinstance(ldap, LdapConfig)
        self.assertFalse(ldap.start_tls)
        self.assertEqual(ldap.bind_dn, "cn=reader")
        self.assertEqual(ldap.bind_password_file, PurePath("/etc/regbroker/reader"))
        self.assertEqual(one, HtpasswdConfig(path=PurePath("/etc/regbroker/one")))
        self.assertEqual(two, HtpasswdConfig(path=PurePath("/etc/regbroker/two")))

    def test_registry(self) -> None:
        """A registry of local accounts, its rights and its tokens."""
        self.assertEqual((self.local.accounts, self.local.token_life), ("staff", 120))
        self.assertTrue(self.local.basic_challenge)
        self.assertEqual(str(self.local.public_url), "https://registry.example.com")
        assert self.local.access is not None
        # Names of users are what they are, capitals included.
        self.assertIn("Alice", [str(g.subject) for g in self.local.access.grants])

    def test_shared(self) -> None:
        """What is shared with clients without credentials."""
        self.assertIsNone(self.open.accounts)
        self.assertEqual(self.open.shared_actions, {"pull", "push"})

    def test_client_certificates(self) -> None:
        """Who certifies clients must be known, and what they may do."""
        certified = CERTIFIED.format("client-ca = /ca", "", "[access certificate]")
        config = parse(certified)
        self.assertEqual(config.client_ca, PurePath("/ca"))
        self.assertEqual(config.registries[0].accounts, "certificate")
        self.assertIs(config.registries[0].access, config.access["certificate"])
        (problem,) = problems(CERTIFIED.format("", "", "[access certificate]"))
        self.assertIn("[regbroker] client-ca: missing", problem)
        self.assertIn("[registry *]", problem)
        (problem,) = problems(CERTIFIED.format("client-ca = /ca", "", "[access x]"))
        self.assertIn("write [access certificate]", problem)
        for option in ("challenge = basic", "token-life = 120"):
            text = CERTIFIED.format("client-ca = /ca", option, "[access certificate]")
            name = option.partition(" ")[0]
            (warning,) = warned(text)
            self.assertIn(f"[registry *] {name}: has no effect", warning)
        (warning,) = warned(WAY_OUT.format("https://a.test", "") + CLIENT_CA)
        self.assertIn("[regbroker] client-ca: no registry has", warning)

    def test_way_out(self) -> None:
        """Halves of a way out are problems; what has no effect is warned of."""
        for given, wanted in (
            ("client-certificate = /c", "client-key: missing"),
            ("client-key = /k", "client-certificate: missing"),
            ("proxy-credentials-file = /p", "proxy: missing"),
            (
                "proxy = environment\n    proxy-credentials-file = /p",
                "proxy-credentials-file: belongs to 'proxy = http://HOST:PORT'",
            ),
        ):
            (problem,) = problems(WAY_OUT.format("https://a.test", given))
            self.assertIn(f"[upstream up] {wanted}", problem)
        both = "client-certificate = /c\n    client-key = /k"
        config = parse(WAY_OUT.format("https://a.test", both))
        self.assertEqual(config.upstreams["up"].client_key, PurePath("/k"))
        for url, given, option in (
            ("http://a.test", both, "client-certificate"),
            ("unix:/s", both, "client-certificate"),
            ("sandbox:", "proxy = environment", "proxy"),
        ):
            (warning,) = warned(WAY_OUT.format(url, given))
            self.assertIn(f"[upstream up] {option}: ", warning)

    def test_own_account(self) -> None:
        """A password file, or a helper."""
        bare, cloud = self.config.upstreams["bare"], self.config.upstreams["cloud"]
        self.assertEqual(bare.username, "regbroker")
        self.assertEqual(bare.password_file, PurePath("/etc/regbroker/password"))
        self.assertEqual(cloud.credential_helper, "ecr-login")

    def test_main(self) -> None:
        """An empty list of user agents denies nobody."""
        self.assertEqual(self.config.signing_key, PurePath("/etc/regbroker/key.pem"))
        self.assertIsNone(self.config.denied_user_agents)
        self.assertEqual(self.config.pace, Pace(30, 20, 0))
        self.assertEqual(self.config.max_connections, 500)
        self.assertEqual(self.config.max_connections_per_address, 500)


class ProblemTests(SynchronousTestCase):
    """What is wrong, with section and option, and what would be right."""

    def test_each(self) -> None:
        """One change to the whole, one problem."""
        for before, after, expected in [
            ("accounts = staff", "accounts = nobody", "no [accounts nobody] section"),
            ("access = rights", "access = none", "no [access none] section"),
            ("challenge = basic", "challenge = digest", "write bearer or basic"),
            ("token-life = 120", "token-life = 5", "[registry registry.example.com]"),
            ("= https://registry", "= registry", "public-url: write https://HOST"),
            ("shared: pull, push", "lent", "anonymous: write shared"),
            ("shared: pull, push", "shared: steal", "the actions are pull, push"),
            ("anonymous = shared: pull, push", "access = rights", "needs 'accounts"),
            ("username = regbroker\n", "\n", "username: missing"),
            ("password-file = password\n", "\n", "password-file: missing"),
            ("ecr-login", "../ecr", "credential-helper: write NAME"),
            ("ecr-login", "a\n    username = b\n    password-file = c", "keep one"),
            ("ldap-bind-dn = cn=reader\n", "\n", "ldap-bind-dn: missing"),
            ("ldap-start-tls = no", "ldap-start-tls = perhaps", "write yes or no"),
            ("ldap = ldap://dir.example.com/", "ldap = http://x/", "accounts staff] l"),
            ("Alice = team/**: pull", "Alice = team/**: steal", "is no action"),
            ("listen = tcp:8080", "listen = proxy:tcp:8080", "needs trusted-proxies"),
            ("deny-user-agents =", "deny-user-agents = (", "no regular expression"),
            ("client-timeout = 30", "client-timeout = 0", "seconds above 0"),
            ("body-timeout = 20", "body-timeout = soon", "seconds above 0"),
            ("min-upload-rate = 0", "min-upload-rate = -1", "bytes per second"),
            ("min-upload-rate = 0", "min-upload-rate = 1k", "bytes per second"),
            ("min-upload-rate = 0", "min-upload-rate = nan", "bytes per second"),
            ("max-connections = 500", "max-connections = 0", "from 1 to 9999999"),
            ("max-connections = 500", "max-connections = 1e3", "from 1 to 9999999"),
        ]:
            self.assertIn(before, WHOLE)
            lines = problems(WHOLE.replace(before, after))
            self.assertEqual(
                len([p for p in lines if expected in p]), 1, (after, lines)
            )

    def test_no_effect(self) -> None:
        """What has no effect is a warning."""
        self.assertEqual(warned(WHOLE), [])
        for before, after, expected in (
            ("anonymous = shared: pull, push", "challenge = basic", "needs 'accounts"),
            ("anonymous = shared: pull, push", "token-life = 90", "needs 'accounts"),
            (
                "ldap-group-base = ou=groups,dc=example,dc=com",
                "ldap-group-filter = (member=${dn})",
                "ldap-group-filter: needs ldap-group-base",
            ),
            ("Alice = team/**", "Alice = other/**", "matches no name that is served"),
            ("max-connections = 500", "max-connections = 499", "which is 499"),
        ):
            self.assertIn(before, WHOLE)
            lines = warned(WHOLE.replace(before, after))
            self.assertEqual(
                len([line for line in lines if expected in line]), 1, (after, lines)
            )

    def test_accounts(self) -> None:
        """It is said what accounts may be, and which sections there are."""
        right = (
            "write upstream, upstream: NAME, certificate, or the name of an [accounts "
            "NAME] section; there are: staff"
        )
        for accounts, expected in (
            ("nobody", f"there is no [accounts nobody] section; {right}"),
            ("upsteam: bare", f"there is no [accounts upsteam: bare] section; {right}"),
            ("", f"empty; {right}"),
            ("upstream:", "empty; name an [upstream NAME] section"),
        ):
            lines = problems(
                WHOLE.replace("accounts = staff", f"accounts = {accounts}")
            )
            lines = [line for line in lines if line.startswith("[registry ")]
            start = "[registry registry.example.com] accounts: "
            self.assertEqual(lines, [start + expected])
        lines = problems(WHOLE.replace("access = rights", "access ="))
        self.assertEqual(
            [line for line in lines if line.startswith("[registry ")],
            [
                "[registry registry.example.com] access: empty; name an [access NAME] "
                "section"
            ],
        )

    def test_missing_files(self) -> None:
        """Every file that is named must be readable."""
        lines = problems(WHOLE, ("one", "two", "password", "key.pem"))
        self.assertEqual(len(lines), 4, lines)
        for name in ("one", "two", "password", "key.pem"):
            self.assertTrue(any(f"{name} cannot be read" in p for p in lines), lines)

    def test_local_accounts_lend_nothing(self) -> None:
        """What anonymous may do is granted in [access NAME] there."""
        (warning,) = warned(WHOLE.replace("token-life = 120", "anonymous = shared"))
        self.assertIn("anonymous: needs 'accounts = upstream'", warning)

    def test_no_access(self) -> None:
        """Accounts without rights could do nothing."""
        text = WHOLE.replace("    access = rights\n", "")
        lines = problems(text)
        self.assertTrue(
            any("access: missing; write [access staff]" in p for p in lines)
        )
        (warning,) = warned(text.replace("[access rights]", "[access staff]") + RIGHTS)
        self.assertTrue(warning.startswith("[access rights]: no [registry HOST] uses"))

    def test_no_source(self) -> None:
        """An [accounts NAME] section has a source, and options that belong to it."""
        start = WHOLE.index("    ldap = ldap:")
        end = WHOLE.index("    [access rights]")
        for lines, expected in [
            ("", "no source of accounts"),
            ("    htpasswd = one\n    colour = blue\n", "colour: unknown option"),
        ]:
            reported = problems(WHOLE[:start] + lines + WHOLE[end:])
            self.assertTrue(any(expected in problem for problem in reported), reported)
        by_application = WHOLE[:start] + "    application = yes\n" + WHOLE[end:]
        self.assertEqual(problems(by_application), [])
        lines = (
            "    ldap-start-tls = no\n    ldap-group-base = ou=g\n    htpasswd = one\n"
        )
        for_groups, *for_ldap = sorted(warned(WHOLE[:start] + lines + WHOLE[end:]))
        self.assertIn("none of these accounts has groups", for_groups)
        self.assertEqual(
            for_ldap,
            [
                f"[accounts staff] {option}: needs an ldap option beside it"
                for option in ("ldap-group-base", "ldap-start-tls")
            ],
        )

    def test_groups_without_groups(self) -> None:
        """A rule for a group needs accounts that have groups."""
        start = WHOLE.index("    ldap = ldap:")
        text = WHOLE[:start] + WHOLE[WHOLE.index("    htpasswd =") :]
        (warning,) = warned(text)
        self.assertEqual(
            warning, "[access rights] @ops: none of these accounts has groups"
        )

    def test_unused(self) -> None:
        """
        Accounts that no registry names are a warning.

        They are a problem where a registry does not say whose accounts it has: without
        its line, an upstream that asks nobody would be open.
        """
        more = WHOLE + "\n    [accounts more]\n    htpasswd = three\n"
        self.assertEqual(
            problems(more),
            [
                "[registry open.example.com] accounts: missing, and no [registry HOST] "
                "uses [accounts more]; write 'accounts = more', or 'accounts = "
                "upstream' for those of the upstream"
            ],
        )
        said = more.replace(
            "upstream = cloud", "upstream = cloud\n    accounts = upstream"
        )
        (warning,) = warned(said)
        self.assertIn("[accounts more]: no [registry HOST] uses it", warning)

    def test_reserved_name(self) -> None:
        """``upstream`` is taken: it means the upstream's own accounts."""
        lines = problems(WHOLE + "\n    [accounts upstream]\n    htpasswd = three\n")
        self.assertTrue(any("choose another name" in p for p in lines), lines)


class ShortNamesTests(SynchronousTestCase):
    """A later upstream's default namespace says where a push goes, too."""

    TEXT = """
        [registry *]
        upstream = own, hub
        {writes}
        namespaces =
            * = *
        [upstream own]
        url = https://own.example
        {own}
        [upstream hub]
        url = https://registry-1.docker.io
        default-namespace = library
    """

    def test_writes(self) -> None:
        """Where that may surprise, it is a problem; where nothing is pushed, not."""
        (problem,) = problems(self.TEXT.format(writes="", own=""))
        self.assertTrue(
            problem.startswith(
                "[registry *] writes: app would be pushed to [upstream own] as "
                "library/app"
            ),
            problem,
        )
        for writes, own in (
            ("writes = deny", ""),
            ("", "default-namespace = library"),
        ):
            self.assertEqual(problems(self.TEXT.format(writes=writes, own=own)), [])


class LeadsTests(SynchronousTestCase):
    """A registry's upstreams are those that its rules lead to."""

    TEXT = """
        [registry registry.example.com]
        {listed}
        {accounts}
        namespaces =
            x/* = harbor:*
        [registry other.example.com]
        upstream = own
        namespaces = * = *
        [upstream own]
        url = https://own.example
        [upstream harbor]
        url = https://harbor.example
    """

    def problems(self, listed: str = "", accounts: str = "") -> list[str]:
        return problems(self.TEXT.format(listed=listed, accounts=accounts))

    def test_listed(self) -> None:
        """One that is listed and no rule leads to would be sent passwords."""
        self.assertEqual(self.problems(), [])
        self.assertEqual(self.problems("upstream = harbor"), [])
        expected = (
            "[registry registry.example.com] upstream: no rule leads to 'own'; take "
            "it out, or name it in a rule"
        )
        for listed in ("own", "own, harbor", "harbor, own"):
            self.assertEqual(self.problems(f"upstream = {listed}"), [expected])

    def test_trusted(self) -> None:
        """So would one that accounts names."""
        for accounts, expected in (
            ("harbor", None),
            ("own", "no rule leads to 'own'; take it out, or name it in a rule"),
            ("harbor, own", "no rule leads to 'own'; take it out, or name it in a"),
            ("none", "there is no [upstream none] section; there are: harbor, own"),
        ):
            lines = self.problems(accounts=f"accounts = upstream: {accounts}")
            self.assertEqual(len(lines), 0 if expected is None else 1, lines)
            for problem in lines:
                start = f"[registry registry.example.com] accounts: {expected}"
                self.assertTrue(problem.startswith(start), problem)


class HostsTests(SynchronousTestCase):
    """The hosts that ``[registry *]`` stands for."""

    TEXT = """
        [registry {host}]
        upstream = one
        namespaces = * = *
        {hosts}
        [upstream one]
        url = https://one.example
    """

    def test_read(self) -> None:
        """By spaces, commas or lines; without the option, all."""
        for hosts, expected in (
            ("", ()),
            ("hosts = a.test", ("a.test",)),
            ("hosts = A.test, *.B.test [::1]", ("a.test", "*.b.test", "[::1]")),
            ("hosts =\n            10.0.0.1\n            a", ("10.0.0.1", "a")),
        ):
            config = parse(self.TEXT.format(host="*", hosts=hosts))
            self.assertEqual(config.registries[0].hosts, expected)

    def test_wrong(self) -> None:
        """What is no host, no host at all, and a section that is for one."""
        for host, value, problem in (
            ("*", "", "names no host; take it out to serve every host"),
            ("*", "a.test:5000", "'a.test:5000' is no host name; write HOST or"),
            ("*", "https://a.test", "'https://a.test' is no host name; write HOST or"),
            ("*", "*", "'*' is no host name; write HOST or *.DOMAIN, without"),
            ("*", "a.*", "'a.*' is no host name; write HOST or *.DOMAIN, without"),
            ("*", "*.*.a", "'*.*.a' is no host name; write HOST or *.DOMAIN"),
            ("*", "*.", "'*.' is no host name; write HOST or *.DOMAIN, without"),
            ("a.test", "b.test", "belongs in [registry *]; this one is for a.test"),
        ):
            text = self.TEXT.format(host=host, hosts=f"hosts = {value}")
            (line,) = problems(text)
            self.assertTrue(
                line.startswith(f"[registry {host}] hosts: {problem}"), line
            )

    def test_public_url(self) -> None:
        """Where clients are sent for tokens must be among the hosts."""
        for hosts, url, missing in (
            ("a.test", "https://b.test", "b.test"),
            ("a.test", "https://B.test:8443/", "b.test"),
            ("a.test", "https://[::1]:8443", "[::1]"),
            ("a.test", "https://a.test:8443", ""),
            ("*.test", "https://a.test", ""),
            ("[::1]", "https://[::1]:8443", ""),
        ):
            lines = f"hosts = {hosts}\n        public-url = {url}"
            self.assertEqual(
                problems(self.TEXT.format(host="*", hosts=lines)),
                [
                    f"[registry *] hosts: {missing}, the host of public-url, is "
                    "missing: clients are sent there for tokens, and would be "
                    f"refused; write 'hosts = {hosts}, {missing}'"
                ]
                if missing
                else [],
            )
        for host in ("*", "a.test"):
            text = self.TEXT.format(host=host, hosts="public-url = https://b.test")
            self.assertEqual(problems(text), [])

    def test_public_url_of_another_section(self) -> None:
        """Where that host has a section of its own, it is served."""
        text = self.TEXT.format(
            host="*", hosts="hosts = a.test\n        public-url = https://b.test"
        )
        other = self.TEXT.partition("[upstream")[0].format(host="b.test", hosts="")
        self.assertEqual(problems(other + text), [])
