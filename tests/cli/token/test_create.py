"""``regbroker token create``."""

import stat

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.robot_tokens import PREFIX
from regbroker.cli.token.create import parse_life
from tests.cli.token.case import HOST, TokenCase


class CreateTests(TokenCase):
    def test_created(self) -> None:
        """The password alone is on standard output; the rest is beside it."""
        status, out, err = self.create(
            "--rights",
            "team/a*: pull push",
            "--rights",
            "lib/x:pull",
            "--expires",
            "2h",
        )
        self.assertEqual(status, 0)
        self.assertRegex(out, rf"\A{PREFIX}[!-~]+\n\Z")
        for line in (
            "user: deploy",
            f"registry: {HOST}",
            "rights: team/a*: pull, push",
            "rights: lib/x: pull",
        ):
            self.assertIn(f"{line}\n", err)
        self.assertNotIn(PREFIX, err)

    def test_token(self) -> None:
        """It says whose it is, for which registry, with which rights, and how long."""
        _, token = self.made()
        self.assertEqual((token.user, token.audience), ("deploy", HOST))
        self.assertEqual(token.rights, ("team/**: pull",))
        self.assertEqual(token.expires - token.issued, 90 * 86400)

    def test_nothing_stored(self) -> None:
        """Neither the list nor another file has the token."""
        text, _ = self.made()
        signature = text.rpartition(".")[2]
        for path in self.directory.rglob("*"):
            if path.is_file():
                self.assertNotIn(signature, path.read_text(), path.name)
        self.assertEqual(stat.S_IMODE(self.list.stat().st_mode), 0o600)

    def test_wider(self) -> None:
        """Rights that the user has not are refused, each with a name that shows it."""
        status, out, err = self.create(
            "--rights", "**: pull", "--rights", "lib/**: pull, push", "--expires", "1d"
        )
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(
            err.splitlines(),
            [
                "error: --rights '**: pull': deploy may not pull x",
                "error: --rights 'lib/**: push': deploy may not push lib",
            ],
        )
        self.assertEqual(self.listed(), [])

    def test_groups(self) -> None:
        """Who knows a user's groups says so; what counts later are the real ones."""
        rights = ("--rights", "other/x: pull", "--expires", "1d")
        self.assertEqual(self.create(*rights)[0], 1)
        self.assertEqual(self.create(*rights, "--group", "ops")[0], 0)

    def test_users(self) -> None:
        """A user of a file, or a robot, and nobody else."""
        rights = ("--rights", "home/x: pull", "--expires", "1d")
        self.assertEqual(self.create(*rights, user="alice")[0], 0)
        status, _, err = self.create(*rights, user="eve")
        self.assertEqual(status, 1)
        self.assertIn("'eve' is not in ", err)
        self.assertIn("robots = eve in [accounts staff]", err)

    def test_wrong(self) -> None:
        """What is wrong is said with what would be right."""
        for given, said in (
            (("--rights", "team/**", "--expires", "1d"), "is not 'patterns: actions'"),
            (("--rights", "${user}: pull", "--expires", "1d"), "the name of that user"),
            (("--rights", "a: pull", "--expires", "90"), "write 90d, 12h"),
            (("--rights", "a: pull", "--expires", "0d"), "write 90d, 12h"),
            (("--rights", "a: pull", "--expires", "20y"), "write 90d, 12h"),
        ):
            status, out, err = self.create(*given)
            self.assertEqual((status, out), (1, ""))
            self.assertIn(said, err)

    def test_too_long(self) -> None:
        """What no client could show is not made."""
        names = ", ".join(f"team/{'a' * 90}{number}" for number in range(100))
        status, out, err = self.create("--rights", f"{names}: pull", "--expires", "1d")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("does not fit", err)
        note = ("--note", "x" * 501)
        self.assertEqual(
            self.create("--rights", "team/a: pull", "--expires", "1d", *note)[0], 1
        )

    def test_note_of_several_lines(self) -> None:
        """The list has one line for a note: others could look like tokens."""
        for note in ("one\nid valid: deploy at x", "one\u2028two", "\r\nx"):
            arguments = ("--rights", "team/a: pull", "--expires", "1d", "--note", note)
            status, out, err = self.create(*arguments)
            self.assertEqual((status, out), (1, ""))
            self.assertIn("--note: it has several lines", err)

    def test_no_key(self) -> None:
        """A key is not made here: it might belong to the wrong user."""
        (self.directory / "state" / "token-key.pem").unlink()
        status, out, err = self.create()
        self.assertEqual((status, out), (1, ""))
        self.assertIn("start regbroker once", err)
        self.assertFalse((self.directory / "state" / "token-key.pem").exists())

    def test_list_cannot_be_written(self) -> None:
        """Without its line in the list there is no token."""
        self.list.mkdir()
        status, out, err = self.create()
        self.assertEqual((status, out), (1, ""))
        self.assertIn("[regbroker] robot-token-list: ", err)


class RegistryTests(TokenCase):
    registry = """\
[registry other.example.com]
upstream = up
namespaces =
    * = *
accounts = staff
robot-tokens = yes
[registry third.example.com]
upstream = up
namespaces =
    * = *
accounts = staff
"""

    def test_several(self) -> None:
        """Where there are several, somebody has to say which."""
        status, _, err = self.create()
        self.assertEqual(status, 1)
        self.assertIn(f"write --registry HOST: {'a token is for one registry'}", err)
        self.assertIn(f"{HOST}, other.example.com", err)
        rights = ("--rights", "team/**: pull", "--expires", "1d")
        _, token = self.made(*rights, "--registry", HOST)
        self.assertEqual(token.audience, HOST)

    def test_not_taken(self) -> None:
        """A registry that takes none gets none."""
        rights = ("--rights", "team/**: pull", "--expires", "1d")
        for host in ("third.example.com", "nowhere.example.com"):
            status, out, err = self.create(*rights, "--registry", host)
            self.assertEqual((status, out), (1, ""))
            self.assertIn(f"[registry {host}] takes no robot tokens", err)


class LifeTests(SynchronousTestCase):
    def test_parse(self) -> None:
        """Numbers with a unit."""
        for text, seconds in (
            ("30m", 1800),
            ("12h", 43200),
            ("90d", 7776000),
            ("4w", 2419200),
        ):
            self.assertEqual(parse_life(text), seconds)
        for text in ("", "d", "1", "-1d", "1.5d", "1D", "9999999d", "1d "):
            self.assertRaises(ValueError, parse_life, text)


class IssuerTests(TokenCase):
    registry = (
        "[identity ci]\nissuer = https://issuer.test\naudience = x\n"
        "user = ci/${repository}\n"
    )

    def test_name_of_an_issuer(self) -> None:
        """A user whose name only claims make could never use the token."""
        text = self.path.read_text().replace("accounts = staff", "accounts = staff, ci")
        text = text.replace(
            "robots =\n", "ldap = ldaps://dir.test/dc=x?uid\nrobots =\n"
        )
        self.path.write_text(text + "authenticated = lib/**: pull\n")
        arguments = ("--rights", "lib/x: pull", "--expires", "1d")
        self.assertEqual(self.create(*arguments, user="somebody")[0], 0)
        status, out, err = self.create(*arguments, user="ci/acme/app")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("--user: 'ci/acme/app' is a name that [identity ci] alone", err)
