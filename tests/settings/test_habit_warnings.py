"""Warnings about slips."""

from __future__ import annotations

from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.habit_warnings import habit_warnings
from regbroker.settings.ini import parse_config

TEXT = """
[registry a.test]
upstream = up
namespaces =
    team = acme_team
    {rule}
[upstream up]
url = https://{host}
"""


class HabitWarningsTests(SynchronousTestCase):
    def warned(self, rule: str = "", host: str = "up.test") -> list[str]:
        """What is said of a rule, and of an upstream's host."""
        text = TEXT.format(rule=rule, host=host)
        return list(
            habit_warnings(parse_config(text, PurePath("/"), lambda path: None))
        )

    def test_options_in_rules(self) -> None:
        """A line that looks like an option is a rule, since it begins with blanks."""
        for rule in ("writes = deny", "redirects = follow", "upstream = up"):
            (warning,) = self.warned(rule)
            self.assertIn(f"namespaces: '{rule}' is read as a rule", warning)
        for rule in ("writes = acme", "access = restricted", "docs = deny"):
            self.assertEqual(self.warned(rule), [])

    def test_comments(self) -> None:
        """A file that regbroker makes has no comment in its name."""
        for option in ("state-directory", "audit-log", "robot-token-list"):
            for value, count in (("/var/x", 0), ("/var/x#1", 0), ("/var/x # y", 1)):
                text = f"[regbroker]\n{option} = {value}\n"
                text += TEXT.format(rule="", host="up.test")
                config = parse_config(text, PurePath("/"), lambda path: None)
                said = list(habit_warnings(config))
                self.assertEqual(len(said), count, said)
                for warning in said:
                    self.assertIn(f"[regbroker] {option}: '/var/x # y' is", warning)

    def test_odd_paths(self) -> None:
        """Quotation marks and variables would be in the name of what is made."""
        for value in ('"var"', "${STATE}", "$STATE/x"):
            text = f"[regbroker]\nstate-directory = {value}\n"
            text += TEXT.format(rule="", host="up.test")
            config = parse_config(text, PurePath("/"), lambda path: None)
            (warning,) = habit_warnings(config)
            self.assertIn(f"state-directory: '/{value}' is taken as it is", warning)

    def test_api_in_url(self) -> None:
        """The path of the API is not a part of where a registry is."""
        for host in ("up.test/v1", "up.test/registry/v1/"):
            (warning,) = self.warned(host=host)
            self.assertIn("/v2 is added; take /v1 away", warning)
        # The other one is known.
        for host in ("up.test", "up.test/v2", "up.test/v2/team", "up.test/av2"):
            self.assertEqual(self.warned(host=host), [], host)

    def test_words(self) -> None:
        """A user whose name is nearly a word for many is told."""
        text = TEXT.format(rule="", host="up.test")
        text = text.replace("= up\n", "= up\naccounts = staff\n", 1)
        text += "[accounts staff]\nhtpasswd = users\n[access staff]\n"
        for user, meant in (
            ("anonymus", "did you mean 'anonymous'?"),
            ("AUTHENTICATED", "did you mean 'authenticated'?"),
            ("authenticated", ""),
            ("anna", ""),
        ):
            config = parse_config(
                f"{text}{user} = **: pull\n", PurePath("/"), lambda path: None
            )
            said = list(habit_warnings(config))
            self.assertEqual(len(said), int(bool(meant)), said)
            for warning in said:
                self.assertTrue(warning.startswith(f"[access staff] {user}: "))
                self.assertTrue(warning.endswith(meant), warning)

    def test_own_listener(self) -> None:
        """An upstream that is regbroker itself would ask itself for ever."""
        for host in ("localhost:8443", "127.0.0.1:8443"):
            (warning,) = self.warned(host=host)
            self.assertIn("where regbroker itself listens", warning)
        for host in ("localhost:5000", "127.0.0.2:8443", "up.test:8443"):
            self.assertEqual(self.warned(host=host), [], host)

    def test_unix_socket(self) -> None:
        """A unix socket is none of the ports that regbroker listens on."""
        main = "[regbroker]\nlisten = tcp:80:interface=127.0.0.1\n"
        rest = TEXT.format(rule="", host="x").replace("https://x", "{url}")
        for url, count in (("unix:/run/up.sock", 0), ("http://localhost", 1)):
            text = main + rest.format(url=url)
            config = parse_config(text, PurePath("/"), lambda path: None)
            self.assertEqual(len(list(habit_warnings(config))), count, url)

    def test_docker_hub(self) -> None:
        """The hosts that people know are not that of the registry."""
        for host in ("docker.io", "hub.docker.com", "index.docker.io"):
            (warning,) = self.warned(host=host)
            self.assertIn("write https://registry-1.docker.io", warning)
        self.assertEqual(self.warned(host="registry-1.docker.io"), [])

    def test_closed_sandbox(self) -> None:
        """A sandbox behind accounts of regbroker's own needs one of its own."""
        whole = TEXT.format(rule="", host="x").replace("https://x", "sandbox:")
        whole += "[accounts staff]\nhtpasswd = users\n[access staff]\na = **: pull\n"
        without = whole.replace("= up\n", "= up\naccounts = upstream\n", 1)
        with_accounts = whole.replace("= up\n", "= up\naccounts = staff\n", 1)
        own = "sandbox:\nusers = rb:pw\nusername = rb\npassword-file = pw"
        for text, count in (
            (without, 0),
            (with_accounts, 1),
            (with_accounts.replace("sandbox:", own), 0),
        ):
            config = parse_config(text, PurePath("/"), lambda path: None)
            said = list(habit_warnings(config))
            self.assertEqual(len(said), count, said)
            for warning in said:
                self.assertIn("[upstream up] username: missing; the sandbox", warning)
