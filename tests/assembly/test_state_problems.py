"""What cannot be kept in the state directory, and what there cannot be used."""

from __future__ import annotations

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import KEY_NAME, make_key
from regbroker.assembly import own_keys, state_problems
from regbroker.assembly.loading import load_config
from regbroker.assembly.problems import problems_with_parts
from regbroker.assembly.state_problems import certificate_hosts
from regbroker.errors import ConfigurationError
from regbroker.settings.ini import parse_config
from regbroker.transport.certificates.self_signed import self_signed
from tests.accounts.hashes import BCRYPT
from tests.certificates import issued

ACCOUNTS = """
[regbroker]
state-directory = state
{main}
[registry a.test]
upstream = up
accounts = staff
namespaces = * = *
[upstream up]
url = https://up.test
[accounts staff]
htpasswd = users
[access staff]
authenticated = **: pull
"""


class KeptTests(SynchronousTestCase):
    """What is kept in the state directory, where nothing can be written here."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.state = self.directory / "state"
        (self.directory / "users").write_text(f"alice:{BCRYPT}\n")
        for module in (own_keys, state_problems):
            self.patch(module, "state_problem", lambda directory: "no room")

    def problems(self, main: str) -> list[str]:
        """The problems of a configuration with accounts."""
        config = parse_config(
            ACCOUNTS.format(main=main), PurePath(self.directory), lambda path: None
        )
        return list(problems_with_parts(config))

    def test_key(self) -> None:
        """A key that must be made; not where there is one, or an option names it."""
        (problem,) = self.problems("listen = tcp:0")
        self.assertEqual(
            problem,
            f"[regbroker] state-directory: {self.state}: no room; name a directory "
            "that the user that regbroker runs as may write to; the key that signs "
            "tokens is kept there",
        )
        key = make_key(self.directory / "other")
        self.assertEqual(self.problems(f"listen = tcp:0\nsigning-key = {key}"), [])
        make_key(self.state)
        self.assertEqual(self.problems("listen = tcp:0"), [])

    def test_certificate(self) -> None:
        """A certificate that must be made, unless there is one for these hosts."""
        make_key(self.state)
        (problem,) = self.problems("listen = tls:0")
        self.assertIn("the self-signed certificate is kept there", problem)
        self_signed(self.state, ["b.test"])
        self.assertEqual(len(self.problems("listen = tls:0")), 1)
        self_signed(self.state, ["a.test"])
        self.assertEqual(self.problems("listen = tls:0"), [])

    def test_accounts(self) -> None:
        """The accounts are tried, whoever keeps the key."""
        make_key(self.state)
        (self.directory / "users").write_text("alice\n")
        (problem,) = self.problems("listen = tcp:0")
        self.assertTrue(problem.startswith("[accounts staff] htpasswd: "), problem)

    def test_bad_key(self) -> None:
        """A key that is there and cannot be used is told as the start tells it."""
        self.state.mkdir()
        key = self.state / KEY_NAME
        key.write_text("none")
        self.assert_bad(key, "no PEM private key in it")
        key.unlink()
        key.mkdir()
        self.assert_bad(key, "no regular file")
        key.rmdir()
        key.symlink_to("none")
        self.assert_bad(key, "No such file")

    def assert_bad(self, key: Path, words: str) -> None:
        """A key is the one problem, with these words, and with what to do."""
        (problem,) = self.problems("listen = tcp:0")
        start = f"[regbroker] state-directory: {key}: {words}"
        self.assertTrue(problem.startswith(start), problem)
        self.assertIn("move it away: another key is made then", problem)

    def test_hosts(self) -> None:
        """The certificate is for the hosts of all sections, if they are ones."""
        text = ACCOUNTS.format(main="").replace("a.test]", "*]\nhosts = b.test")
        config = parse_config(text, PurePath("/"), lambda path: None)
        self.assertEqual(certificate_hosts(config), ["b.test"])


class WrongOptionsTests(SynchronousTestCase):
    """What an option is about that is wrong is not kept in the state directory."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        (self.directory / "users").write_text(f"alice:{BCRYPT}\n")
        (self.directory / "state").write_text("no directory")
        (self.directory / "var").write_text("no directory")
        issued("a.test").write(self.directory, "a")

    def options(self, main: str, more: str = "") -> list[str]:
        """The options that have a problem, in a configuration with accounts."""
        path = self.directory / "regbroker.ini"
        path.write_text(ACCOUNTS.format(main=main) + more)
        with self.assertRaises(ConfigurationError) as caught:
            load_config(path)
        return [each.partition(": ")[0] for each in caught.exception.problems]

    def test_told(self) -> None:
        """All that is made has a problem here, which is told once."""
        state = "[regbroker] state-directory"
        self.assertEqual(self.options("listen = tls:0"), [state])
        self.assertEqual(self.options("listen = tcp:0"), [state])

    def test_wrong(self) -> None:
        """Nobody wants the default that would take the place of what is wrong."""
        key = make_key(self.directory / "key")
        keys = f"signing-key = {key}\n"
        for main, more, options in (
            (f"{keys}listen = 443", "", ["[regbroker] listen"]),
            (
                f"{keys}listen = tls:0",
                "[tls]\ncertificate = none\nkey = a.key",
                ["[tls] certificate"],
            ),
            (
                f"{keys}listen = tls:0",
                "[tls a.test]\ncertificate = a.pem",
                ["[tls a.test] key"],
            ),
            ("listen = tcp:0\nsigning-key = none", "", ["[regbroker] signing-key"]),
        ):
            self.assertEqual(self.options(main, more), options)

    def test_wrong_directory(self) -> None:
        """An empty path has one problem, whatever is in the place of the default."""
        path = self.directory / "regbroker.ini"
        text = ACCOUNTS.format(main="listen = tls:0")
        path.write_text(text.replace("state-directory = state", "state-directory ="))
        with self.assertRaises(ConfigurationError) as caught:
            load_config(path)
        (problem,) = caught.exception.problems
        self.assertIn("state-directory: empty", problem)
