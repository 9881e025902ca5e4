"""What is wrong with the parts that a configuration names."""

from __future__ import annotations

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import make_key
from regbroker.assembly import problems
from regbroker.assembly.problems import (
    certificate_hosts,
    problems_with_parts,
    state_problem,
)
from regbroker.settings.ini import parse_config
from regbroker.transport.certificates.self_signed import self_signed
from tests.accounts.hashes import BCRYPT
from tests.certificates import issued

TEXT = """
[regbroker]
listen = {listen}
[registry a.test]
upstream = up
namespaces = * = *
[registry *]
hosts = b.test
upstream = up
namespaces = * = *
[upstream up]
url = https://up.test
{more}
"""

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


class ProblemsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def problems(self, listen: str = "tls:0", more: str = "") -> list[str]:
        """The problems of a configuration beside this directory."""
        text = TEXT.format(listen=listen, more=more)
        config = parse_config(text, PurePath(self.directory), lambda path: None)
        self.assertEqual(certificate_hosts(config), ["a.test", "b.test"])
        return list(problems_with_parts(config))

    def test_nothing(self) -> None:
        """A state directory that can be made, and nothing stays of the trial."""
        self.assertEqual(self.problems(), [])
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_parts(self) -> None:
        """Endpoints, CA files, certificates: each with its option."""
        issued("a.test").write(self.directory, "a")
        for listen, more, start in (
            ("tcp:0:interfce=x", "", "[regbroker] listen: "),
            ("tcp:0", "ca-file = a.key", "[upstream up] ca-file: "),
            (
                "tcp:0",
                "client-certificate = a.pem\nclient-key = a.pem",
                "[upstream up] client-key: ",
            ),
            (
                "tcp:0",
                "proxy = http://p.test\nproxy-credentials-file = a.pem",
                "[upstream up] proxy-credentials-file: ",
            ),
            ("tcp:0\nclient-ca = a.key", "", "[regbroker] client-ca: "),
            ("unix:s:user=no-such-user", "", "[regbroker] listen: 'unix:s:user="),
            (
                "tls:0",
                "[tls]\ncertificate = a.pem\nkey = a.pem",
                "[tls] key: ",
            ),
        ):
            (problem,) = self.problems(listen, more)
            self.assertTrue(problem.startswith(start), problem)

    def test_state(self) -> None:
        """Where nothing can be kept, and why."""
        file = self.directory / "file"
        file.write_text("")
        self.assertIsNone(state_problem(self.directory / "not" / "made"))
        self.assertEqual(state_problem(file), "Not a directory")


class KeptTests(SynchronousTestCase):
    """What is kept in the state directory, where nothing can be written here."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.state = self.directory / "state"
        (self.directory / "users").write_text(f"alice:{BCRYPT}\n")
        self.patch(problems, "state_problem", lambda directory: "no room")

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
            f"[regbroker] state-directory: {self.state}: no room; the key that signs "
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
