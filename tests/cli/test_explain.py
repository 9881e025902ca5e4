"""``regbroker explain``."""

import json
from pathlib import Path

from regbroker.cli.explanation import CERTIFICATE_WANTED as WANTED
from regbroker.web import certificate_gate
from tests.accounts.hashes import BCRYPT
from tests.assembly.test_rights_report import CONFIG as RIGHTS
from tests.certificates import authority
from tests.cli.case import CONFIG, CommandCase

SEVERAL = """\
[registry *]
upstream = hub, mirror
namespaces =
    * = *
    * = mirror:hub/*
[upstream hub]
url = https://registry-1.docker.io
default-namespace = library
[upstream mirror]
url = http://mirror.example.com:8080/base/
"""


class ExplainTests(CommandCase):
    """Where a name leads, and why."""

    def test_rule(self) -> None:
        """A name's way is told with the rule that decides; ports do not matter."""
        path = self.write(CONFIG)
        for image in (
            "registry.example.com/team/app",
            "registry.example.com:8443/acme_team/app",
            "registry.example.com/team/app:1.0",
            "registry.example.com/team/app:1.0@sha256:" + "a" * 64,
        ):
            status, out, _ = self.run_command("explain", "-c", path, image)
            self.assertEqual(status, 0)
            self.assertIn("[registry registry.example.com] team/app\n", out)
            self.assertIn("registry.cn-shenzhen.aliyuncs.com acme_team/app\n", out)
            self.assertIn("'team = acme_team'", out)

    def test_several(self) -> None:
        """All upstreams that have a name are told, in the order they are asked."""
        path = self.write(SEVERAL)
        status, out, _ = self.run_command("explain", "-c", path, "localhost/nginx:1")
        self.assertEqual(status, 0)
        self.assertEqual(
            out.splitlines(),
            [
                "[registry *] library/nginx",
                "  -> [upstream hub] https://registry-1.docker.io library/nginx",
                "     'nginx' is short for 'library/nginx', by '* = *'",
                "  -> [upstream mirror] http://mirror.example.com:8080/base "
                "hub/library/nginx",
                "     'nginx' is short for 'library/nginx', by '* = mirror:hub/*'",
            ],
        )

    def test_source(self) -> None:
        """What clients of a mirror name it by leads where the table says."""
        table = (
            "[regbroker]\nns =\n  docker.io = registry.example.com\n  b.test:5000 = *\n"
        )
        path = self.write(table + CONFIG + SEVERAL)
        for image in ("docker.io/team/app", "Docker.IO/team/app:1.0"):
            status, out, _ = self.run_command("explain", "-c", path, image)
            self.assertEqual(status, 0)
            self.assertEqual(
                out.splitlines()[:2],
                [
                    "[regbroker] ns: docker.io is served by "
                    "[registry registry.example.com]",
                    "[registry registry.example.com] team/app",
                ],
            )
        # A source is known by its port, too.
        _, out, _ = self.run_command("explain", "-c", path, "b.test:5000/team/app")
        self.assertIn("[regbroker] ns: b.test:5000 is served by [registry *]\n", out)
        for other in ("b.test", "docker.io:443"):
            _, out, _ = self.run_command("explain", "-c", path, f"{other}/team/app")
            self.assertNotIn("ns:", out)

    def test_hosts(self) -> None:
        """A host that [registry *] does not name is not served."""
        several = SEVERAL.replace("[registry *]", "[registry *]\nhosts = *.b.test")
        self.assertNotEqual(several, SEVERAL)
        table = "[regbroker]\nns = docker.io = *\n"
        path = self.write(table + CONFIG + several)
        for image, expected in (
            ("a.b.test:5000/nginx", 0),
            ("docker.io/nginx", 0),
            ("c.test/nginx", 1),
            ("b.test/nginx", 1),
        ):
            status, _, error = self.run_command("explain", "-c", path, image)
            self.assertEqual(status, expected, image)
            if expected:
                self.assertIn("not among the hosts of [registry *]: *.b.test", error)

    def test_any_case(self) -> None:
        """Hosts are the same in whatever case."""
        path = self.write(CONFIG + SEVERAL)
        _, out, _ = self.run_command(
            "explain", "-c", path, "Registry.Example.COM:8443/team/app"
        )
        self.assertIn("[registry registry.example.com] team/app\n", out)

    def test_refused(self) -> None:
        """A name that is not served is told as the client would be told."""
        path = self.write(CONFIG)
        status, _, err = self.run_command(
            "explain", "-c", path, "registry.example.com/other/app"
        )
        self.assertEqual(status, 1)
        self.assertIn("404 NAME_UNKNOWN", err)
        self.assertIn("namespaces here: team", err)

    def with_accounts(self) -> str:
        """A registry with accounts of its own."""
        users = Path(self.mktemp()).absolute()
        users.write_text(f"alice:{BCRYPT}\nbob:{BCRYPT}\n")
        accounts = (
            f"accounts = staff\n[accounts staff]\nhtpasswd = {users}\n"
            "[access staff]\nalice = team/**: pull, push\nbob = team/**: pull\n"
        )
        return self.write(
            CONFIG.replace("upstream = aliyun", f"upstream = aliyun\n{accounts}", 1)
            .replace("namespaces =\n    team = acme_team\n", "")
            .replace("accounts =", "namespaces = team = acme_team\naccounts =", 1)
        )

    def test_rights(self) -> None:
        """Who may do what, by which line, and what a client is told."""
        path = self.with_accounts()
        image = "registry.example.com/team/app:1.0"
        status, out, _ = self.run_command(
            "explain", "-c", path, image, "--user", "alice", "--action", "push"
        )
        self.assertEqual(status, 0)
        for line in (
            "     scope there: repository:acme_team/app:pull,push",
            "  scope of clients: repository:team/app:pull,push",
            "  alice may push: [access staff] alice = team/**: pull, push",
            "  a client is told: what the upstream answers",
        ):
            self.assertIn(line, out.splitlines())
        status, out, _ = self.run_command(
            "explain", "-c", path, image, "--user", "bob", "--action", "push"
        )
        self.assertEqual(status, 1)
        self.assertIn(
            "  bob may not push: no line of [access staff] grants it; those who may: "
            "alice",
            out.splitlines(),
        )
        status, out, _ = self.run_command(
            "explain", "-c", path, image, "--user", "carol"
        )
        self.assertEqual(status, 1)
        self.assertIn("401 UNAUTHORIZED at the login: 'carol' is not in ", out)

    def test_claims(self) -> None:
        """The line that decides about whom an issuer vouches for."""
        tests = Path(self.mktemp())
        path = self.write(RIGHTS.format(tests=tests, registry=""))
        users = Path(path).with_name("users")
        users.write_text(f"alice:{BCRYPT}\n")
        self.addCleanup(users.unlink)
        claims = {
            "iss": "https://token.actions.githubusercontent.com",
            "aud": "registry.example.com",
            "sub": "repo:acme/app",
            "repository": "acme/app",
            "repository_owner": "acme",
        }
        image = "registry.example.com/team/app:1.0"

        def explained(**more: str) -> tuple[int, str, str]:
            shown = self.write(json.dumps(claims | more))
            arguments = ("-c", path, image, "--claims", shown, "--action", "push")
            return self.run_command("explain", *arguments)

        status, out, _ = explained()
        self.assertEqual(status, 1)
        self.assertIn(
            "  ci:acme/app may push: [access staff] "
            "github[repository=acme/app] = team/app: push\n",
            out,
        )
        self.assertIn("  ci:acme/app may not pull: no line of [access staff]", out)
        self.assertIn(
            "[identity github] conditions: release does not hold, as it cannot be "
            "worked out: 'ref' is missing\n",
            out,
        )
        status, out, _ = explained(ref="refs/tags/1.0")
        self.assertEqual(status, 0)
        self.assertIn("ci:acme/app may pull: [access staff] github[release] =", out)
        self.assertNotIn("worked out", out)
        status, out, _ = explained(repository_owner="evil")
        self.assertEqual(status, 1)
        self.assertIn("required-claims: not repository_owner=acme", out)
        for more, why in (({"aud": "sigstore"}, "aud is"), ({"sub": ""}, "sub is")):
            status, out, _ = explained(ref="refs/tags/1.0", **more)
            self.assertEqual(status, 1)
            self.assertIn(
                f"401 UNAUTHORIZED at the login: [identity github] {why}", out
            )
        status, out, err = explained(iss="https://evil.example")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("iss is 'https://evil.example'", err)

    def test_users_of_an_issuer(self) -> None:
        """Nobody has a password under a name that only claims make."""
        tests = Path(self.mktemp())
        path = self.write(RIGHTS.format(tests=tests, registry=""))
        users = Path(path).with_name("users")
        users.write_text(f"alice:{BCRYPT}\n")
        self.addCleanup(users.unlink)
        image = "registry.example.com/lib/app"
        arguments = ("explain", "-c", path, image, "--user", "ci:acme/app")
        status, out, _ = self.run_command(*arguments)
        self.assertEqual(status, 1)
        self.assertIn(
            "401 UNAUTHORIZED at the login: 'ci:acme/app' is a name that [identity "
            "github] alone gives; nobody else may have it",
            out,
        )

    def test_challenge(self) -> None:
        """What curl has shown is pasted as it is, and the actions are in it."""
        challenge = (
            'Bearer realm="https://registry.example.com/auth",'
            'service="registry.example.com",scope="repository:team/app:pull,push"'
        )
        path = self.with_accounts()
        status, out, _ = self.run_command(
            "explain", "-c", path, challenge, "--user", "bob"
        )
        self.assertEqual(status, 1)
        self.assertIn("bob may not push", out)

    def test_json(self) -> None:
        """The same for programs, refusals too."""
        path = self.with_accounts()
        status, out, _ = self.run_command(
            "explain", "-c", path, "team/app", "--user", "bob", "--json"
        )
        (document,) = json.loads(out)
        self.assertEqual((status, document["refused"]), (0, False))
        status, out, _ = self.run_command(
            "explain", "-c", path, "registry.example.com/x", "--json"
        )
        (document,) = json.loads(out)
        self.assertEqual((status, document["refused"]), (1, True))
        self.assertIn("404 NAME_UNKNOWN", document["told"])

    def test_not_understood(self) -> None:
        """What is about no repository is told, and what would be."""
        status, _, err = self.run_command(
            "explain", "-c", self.write(CONFIG), "registry:catalog:*"
        )
        self.assertEqual(status, 1)
        self.assertIn("write repository:NAME:ACTIONS", err)

    def test_unknown_host(self) -> None:
        """A host without a registry is named."""
        status, _, err = self.run_command(
            "explain", "-c", self.write(CONFIG), "elsewhere.example/team/app"
        )
        self.assertEqual(status, 1)
        self.assertIn("no [registry elsewhere.example] section", err)


class CertificateTests(CommandCase):
    """Where the certificate of the connection is the login."""

    def explained(self, *arguments: str) -> tuple[int, str]:
        """The exit status, and what is printed."""
        pair = authority()
        root = Path(self.mktemp())
        root.write_bytes(pair.certificate)
        path = self.write(
            f"[regbroker]\nlisten = tls:8443\nclient-ca = {root.absolute()}\n"
            "[registry registry.test]\nupstream = up\naccounts = certificate\n"
            "access = team\nnamespaces = team/* = acme/*\n"
            "[access team]\nbob = team/**: pull, push\nanonymous = team/open: pull\n"
            "[upstream up]\nurl = https://registry.acme.test\n"
        )
        image = "registry.test/team/app:1"
        status, out, err = self.run_command("explain", "-c", path, image, *arguments)
        self.assertEqual(err, "")
        self.assertIn("Common Name of the client's certificate", out)
        # There is no challenge for a certificate, and there are no tokens.
        for word in ("Bearer", "Basic", "token", "401", "scope of clients"):
            self.assertNotIn(word, out)
        return status, out

    def test_user(self) -> None:
        """Whom the certificate names has the rights of that user."""
        status, out = self.explained("--user", "bob", "--action", "push")
        self.assertEqual(status, 0)
        self.assertIn("bob may push: ", out)
        self.assertIn("a client is told: what the upstream answers", out)
        status, out = self.explained("--user", "bob", "--action", "delete")
        self.assertEqual(status, 1)
        self.assertIn("a client is told: 403 DENIED: bob may not delete here", out)

    def test_nobody(self) -> None:
        """Without a certificate it is 403, in the words of the service."""
        self.assertEqual(WANTED, certificate_gate._WANTED)
        status, out = self.explained("--action", "pull")
        self.assertEqual(status, 1)
        self.assertIn("somebody without a certificate may not pull: ", out)
        self.assertIn(f"403 DENIED: {WANTED}: the client has shown no certificate", out)
