"""Whether there is such a user, as far as files tell."""

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.url import parse_ldap_url
from regbroker.cli.known_users import why_unknown
from regbroker.settings.config import (
    AccountsConfig,
    Config,
    HtpasswdConfig,
    LdapConfig,
    RobotsConfig,
)
from tests.accounts.hashes import BCRYPT

ROBOTS = RobotsConfig(users=("deploy",))


class KnownUsersTests(SynchronousTestCase):
    def setUp(self) -> None:
        path = Path(self.mktemp())
        path.write_text(f"alice:{BCRYPT}\n")
        self.file = HtpasswdConfig(path=PurePath(path))

    def said(
        self, user: str, *sources: HtpasswdConfig | LdapConfig | RobotsConfig
    ) -> str:
        accounts = AccountsConfig(name="staff", sources=sources)
        config = Config(registries=(), upstreams={}, accounts={"staff": accounts})
        return why_unknown(config, "staff", user)

    def test_files(self) -> None:
        """A user of a file, or a robot, is known."""
        self.assertEqual(self.said("alice", self.file), "")
        self.assertEqual(self.said("deploy", self.file, ROBOTS), "")
        self.assertEqual(self.said("alice", ROBOTS, self.file), "")
        self.assertIn("'eve' is not in ", self.said("eve", ROBOTS, self.file))
        self.assertIn("not among the robots", self.said("eve", ROBOTS))

    def test_bad_files(self) -> None:
        """A file that cannot be used is said to be why nobody is found in it."""
        path = Path(self.file.path)
        path.write_text("alice\n")
        self.assertIn("line 1 cannot be understood", self.said("alice", self.file))
        path.unlink()
        said = self.said("alice", ROBOTS, self.file)
        self.assertEqual(
            said, f"'alice' is not found in {path}: No such file or directory"
        )

    def test_directory(self) -> None:
        """A directory may know anybody."""
        directory = LdapConfig(url=parse_ldap_url("ldaps://d.example/dc=example"))
        self.assertEqual(self.said("eve", self.file, directory), "")

    def test_other_accounts(self) -> None:
        """Of accounts that are no section nothing is known."""
        config = Config(registries=(), upstreams={})
        self.assertEqual(why_unknown(config, "staff", "eve"), "")
