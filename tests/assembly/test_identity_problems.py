"""What is wrong with the files of identities."""

from __future__ import annotations

from pathlib import Path, PurePath

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.identity_problems import problems_with_identities
from regbroker.errors import ConfigurationError
from regbroker.settings.ini import parse_config
from tests.issuers import ec_key, jwk, jwks


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def problems(self, *options: str, accounts: str = "ci") -> list[str]:
        text = "\n".join(
            [
                "[registry *]",
                f"accounts = {accounts}",
                "access = ci",
                "namespaces = * = *",
                "upstream = up",
                "[upstream up]",
                "url = sandbox:",
                "[access ci]",
                "ci[] = **: pull",
                "[identity ci]",
                "issuer = https://issuer.test",
                "audience = a",
                *options,
            ]
        )
        config = parse_config(text, PurePath(self.directory), lambda path: None)
        return list(problems_with_identities(config))

    def test_good(self) -> None:
        """Keys in a file that everybody may read, or nothing."""
        keys = self.directory / "keys.json"
        keys.write_bytes(jwks(jwk(ec_key())))
        keys.chmod(0o644)
        with capturedLogs() as logged:
            self.assertEqual(self.problems("jwks = keys.json"), [])
        self.assertEqual(logged, [])
        self.assertEqual(self.problems(), [])

    def test_unreadable_section(self) -> None:
        """What is wrong in the section is told, and it has no other effect."""
        for option in ("issuer = nonsense", "users = ${nonsense}"):
            with self.assertRaises(ConfigurationError) as caught:
                parse_config(
                    "[registry *]\naccounts = ci\nnamespaces = * = *\nupstream = up\n"
                    f"[upstream up]\nurl = sandbox:\n[identity ci]\n{option}\n",
                    PurePath(self.directory),
                    lambda path: None,
                    lambda config, wrong: problems_with_identities(config),
                )
            self.assertIn("[identity ci]", str(caught.exception), option)

    def test_imitation(self) -> None:
        """A user with a password may not have a name that an issuer gives."""
        path = self.directory / "htpasswd"
        path.write_text("alice:{SHA}x\nci-x:$2y$05$" + "a" * 53 + "\n")
        more = ("user = ci-${sub}", "[accounts staff]", "htpasswd = htpasswd")
        (problem,) = self.problems(*more, accounts="staff, ci")
        self.assertIn("[accounts staff] htpasswd: ", problem)
        self.assertIn("'ci-x' could be somebody of [identity ci]", problem)
        robots = ("user = ci-${sub}", "[accounts staff]", "robots = ci-y")
        (problem,) = self.problems(*robots, accounts="staff, ci")
        self.assertIn("[accounts staff] robots: 'ci-y'", problem)
        # In another registry they do not meet.
        self.assertEqual(self.problems(*more), [])

    def test_wrong(self) -> None:
        """Files that are no keys, and no certificates, are named."""
        (self.directory / "keys.json").write_text("{}")
        (self.directory / "ca.pem").write_text("x")
        (problem,) = self.problems("jwks = keys.json")
        self.assertIn("[identity ci] jwks: ", problem)
        self.assertIn("no set of keys", problem)
        (problem,) = self.problems("jwks = missing.json")
        self.assertIn("No such file", problem)
        (problem,) = self.problems("ca-file = ca.pem")
        self.assertIn("[identity ci] ca-file: ", problem)
        (self.directory / "proxy").write_text("x")
        (problem,) = self.problems(
            "proxy = http://proxy.test:3128", "proxy-credentials-file = proxy"
        )
        self.assertIn("[identity ci] proxy-credentials-file: ", problem)
