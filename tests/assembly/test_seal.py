"""The seal that a configuration gives, and the key that it is made with."""

from pathlib import Path, PurePath

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import KEY_NAME, make_key
from regbroker.accounts.sealing import Sealing
from regbroker.assembly.seal import build_seal
from regbroker.errors import StateError
from regbroker.settings.ini import parse_config

CONFIG = """
[regbroker]
{main}
[registry *]
upstream = bare
namespaces = * = *
{registry}
[upstream bare]
url = http://127.0.0.1:5000
"""

ACCOUNTS = """
[accounts staff]
htpasswd = htpasswd
[access staff]
anonymous = **: pull
"""


class SealPartsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def seal(self, main: str, registry: str = "", more: str = "") -> Sealing:
        """Return the seal of a machine of its own."""
        text = CONFIG.format(main=main, registry=registry) + more
        config = parse_config(text, PurePath(self.directory), lambda path: None)
        return build_seal(config, Clock(), bytes(32))

    def test_made(self) -> None:
        """A key is made once, and outlives a restart."""
        sealed = self.seal("state-directory = state").seal("p", "text")
        self.assertTrue((self.directory / "state" / KEY_NAME).exists())
        again = self.seal("state-directory = state")
        self.assertEqual(again.open("p", sealed), "text")
        other = self.seal("state-directory = other")
        self.assertIsNone(other.open("p", sealed))

    def test_shared(self) -> None:
        """Machines that share the signing key open each other's seals."""
        key = f"signing-key = {make_key(self.directory)}"
        sealed = self.seal(f"{key}\nstate-directory = one").seal("p", "text")
        other = self.seal(f"{key}\nstate-directory = two")
        self.assertEqual(other.open("p", sealed), "text")
        self.assertFalse((self.directory / "one").exists())

    def test_rotation(self) -> None:
        """A key behind the first one still opens."""
        old = make_key(self.directory / "old")
        sealed = self.seal(f"signing-key = {old}").seal("p", "text")
        both = self.directory / "both.pem"
        new = make_key(self.directory / "new")
        both.write_bytes(new.read_bytes() + old.read_bytes())
        seal = self.seal(f"signing-key = {both}")
        self.assertEqual(seal.open("p", sealed), "text")
        sealed = seal.seal("p", "text")
        self.assertEqual(self.seal(f"signing-key = {new}").open("p", sealed), "text")

    def test_no_place(self) -> None:
        """Without a place for a key it is kept in memory, which is told."""
        (self.directory / "file").write_text("")
        with capturedLogs() as events:
            seal = self.seal("state-directory = file")
        (line,) = map(formatEvent, events)
        self.assertIn("[regbroker] state-directory: ", line)
        self.assertEqual(seal.open("p", seal.seal("p", "text")), "text")

    def test_no_place_for_accounts(self) -> None:
        """With accounts of our own, or a key that is named, nothing else will do."""
        (self.directory / "file").write_text("")
        for main, registry, more in (
            ("state-directory = file", "accounts = staff", ACCOUNTS),
            ("signing-key = file", "", ""),
        ):
            self.assertRaises(StateError, self.seal, main, registry, more)
