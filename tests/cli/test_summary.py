"""What a configuration serves, in a few lines."""

from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.summary import served, summary
from regbroker.settings.ini import parse_config

TEXT = """
[regbroker]
listen =
    tls:443
    tcp:80
[tls]
certificate = a.pem
key = a.key
[tls b.test]
certificate = b.pem
key = b.key
[registry b.test]
upstream = one
namespaces =
    * = *
    hub/* = two:*
[upstream one]
url = https://one.test
[upstream two]
url = sandbox:
"""


class SummaryTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Listeners, certificates, registries with their upstreams and rules."""
        config = parse_config(TEXT, PurePath("/"), lambda path: None)
        self.assertEqual(
            summary(config)[:6],
            [
                "listens on",
                "  tls:443",
                "  tcp:80",
                "shows the certificate",
                "  for every other host: /a.pem",
                "  b.test: /b.pem",
            ],
        )
        self.assertEqual(
            served(config, config.registries[0]),
            [
                "  [registry b.test] -> [upstream one] https://one.test",
                "                    -> [upstream two] a sandbox, for trying out",
                "      hub/* = two:*",
                "      * = *",
            ],
        )
        self.assertEqual(summary(config)[-1], "      accounts: those of [upstream one]")

    def test_one_certificate(self) -> None:
        """Where there is one certificate, there is no other host."""
        other = "[tls b.test]\ncertificate = b.pem\nkey = b.key\n"
        alone = TEXT.replace(other, "")
        self.assertNotEqual(alone, TEXT)
        config = parse_config(alone, PurePath("/"), lambda path: None)
        self.assertIn("  for every host: /a.pem", summary(config))

    def test_application(self) -> None:
        """Accounts that an application brings stand behind those of the section."""
        brought = "those of the application that embeds regbroker"
        for sources, shown in (("", ""), ("htpasswd = users\n", "htpasswd /users, ")):
            registry = "upstream = one\naccounts = staff"
            text = TEXT.replace("upstream = one", registry)
            text += f"[accounts staff]\napplication = yes\n{sources}"
            text += "[access staff]\nalice = **: pull\n"
            config = parse_config(text, PurePath("/"), lambda path: None)
            self.assertEqual(
                summary(config)[-1],
                f"      accounts: [accounts staff]: {shown}{brought}",
            )

    def test_identities(self) -> None:
        """Issuers stand behind the accounts that have passwords."""
        identity = "[identity ci]\nissuer = https://ci.test\naudience = b.test\n"
        for accounts, shown in (
            ("ci", "[identity ci]"),
            ("staff, ci", "[accounts staff]: htpasswd /users; [identity ci]"),
        ):
            registry = f"upstream = one\naccounts = {accounts}\naccess = all"
            text = TEXT.replace("upstream = one", registry) + identity
            text += (
                "[accounts staff]\nhtpasswd = users\n[access all]\nci[] = **: pull\n"
            )
            config = parse_config(text, PurePath("/"), lambda path: None)
            self.assertIn(f"      accounts: {shown}", summary(config))
