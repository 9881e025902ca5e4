"""What others may do with files: told before serving, as serving tells it."""

from __future__ import annotations

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.file_rights import file_rights
from regbroker.settings.ini import parse_config

TEXT = """
[regbroker]
listen = tcp:0
signing-key = key
revoked-tokens = revoked
[registry *]
upstream = up
accounts = staff, ci
namespaces = * = *
[upstream up]
url = https://up.test
username = u
password-file = password
proxy = http://proxy.test:3128
proxy-credentials-file = credentials
[accounts staff]
htpasswd = users
ldap = ldaps://ldap.test/dc=test
ldap-bind-dn = cn=a
ldap-bind-password-file = bind
[accounts spare]
htpasswd = spare
[identity ci]
issuer = https://ci.test
audience = a
jwks = jwks
[access staff]
authenticated = **: pull
"""

SECRET = ("key", "password", "credentials", "bind")
OTHERS = ("revoked", "users", "jwks")


class FileRightsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        for name in (*SECRET, *OTHERS, "spare"):
            (self.directory / name).write_text("")
        self.config = parse_config(TEXT, PurePath(self.directory), lambda path: None)

    def told(self, mode: int) -> list[str]:
        """What is said when all files have this mode."""
        for path in self.directory.iterdir():
            path.chmod(mode)
        return list(file_rights(self.config))

    def test_good(self) -> None:
        """Groups may share a secret; what is missing is told elsewhere."""
        self.assertEqual(self.told(0o640), [])
        for path in self.directory.iterdir():
            path.unlink()
        self.assertEqual(list(file_rights(self.config)), [])

    def test_readable(self) -> None:
        """A secret that everybody can read has its option, and what to do."""
        lines = self.told(0o644)
        self.assertEqual(
            [line.partition(": ")[0] for line in lines],
            [
                "[regbroker] signing-key",
                "[upstream up] password-file",
                "[upstream up] proxy-credentials-file",
                "[accounts staff] ldap-bind-password-file",
            ],
        )
        self.assertEqual(
            lines[0],
            f"[regbroker] signing-key: {self.directory}/key: every user of this "
            "machine can use it; take that right away (chmod o=)",
        )

    def test_writable(self) -> None:
        """What everybody can change is told of all files that are used."""
        lines = self.told(0o646)
        self.assertEqual(len(lines), len(SECRET) + len(OTHERS))
        self.assertIn("change it; take that right away (chmod o-w)", lines[-1])
