"""Certificates whose files change."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.certificates import (
    LOOK_SECONDS,
    CertificateWatch,
    load_shown,
    needs_certificate,
)
from regbroker.errors import ConfigurationError
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config
from regbroker.transport.tls.session_tickets import TicketKeys
from tests.certificates import Pair, issued

CONFIG = """
[regbroker]
listen = {listen}
state-directory = state
{tls}
[registry *]
upstream = up
namespaces = * = *
[upstream up]
url = http://127.0.0.1:5000
"""
OWN = "[tls]\ncertificate = server.pem\nkey = server.key"

KEYS = TicketKeys(lambda: 0.0)

FIRST = issued("a.test", "first.test")
SECOND = issued("a.test", "second.test")


class CertificatesTestCase(SynchronousTestCase):
    """A pair of files in a directory."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.write(FIRST)
        self.config = self.parse(OWN)

    def write(self, pair: Pair) -> None:
        """Replace the pair."""
        pair.write(self.directory, "server")

    def parse(self, tls: str = "", listen: str = "tls:8443") -> Config:
        """A configuration."""
        text = CONFIG.format(listen=listen, tls=tls)
        return parse_config(text, PurePath(self.directory), lambda path: None)


class LoadTests(CertificatesTestCase):
    def test_same(self) -> None:
        """While the files are the same, so are the options."""
        shown = load_shown(self.config, None, KEYS)
        self.assertIs(load_shown(self.config, shown, KEYS), shown)

    def test_changed(self) -> None:
        """Another pair makes other options."""
        shown = load_shown(self.config, None, KEYS)
        self.write(SECOND)
        self.assertIsNot(load_shown(self.config, shown, KEYS), shown)

    def test_other_name(self) -> None:
        """The same files for another name are something else."""
        shown = load_shown(self.config, None, KEYS)
        other = self.parse(OWN.replace("[tls]", "[tls a.test]"))
        self.assertIsNot(load_shown(other, shown, KEYS), shown)

    def test_half(self) -> None:
        """A key that is not the certificate's is a problem."""
        (self.directory / "server.pem").write_bytes(SECOND.certificate)
        error = self.assertRaises(
            ConfigurationError, load_shown, self.config, None, KEYS
        )
        self.assertIn("the key does not belong to the certificate", str(error.problems))

    def test_self_signed(self) -> None:
        """Without files a pair is made, and found again."""
        config = self.parse()
        shown = load_shown(config, None, KEYS)
        self.assertTrue((self.directory / "state" / "self-signed.pem").exists())
        self.assertIs(load_shown(config, shown, KEYS), shown)

    def test_needed(self) -> None:
        """Where nothing ends TLS, there is nothing to show."""
        self.assertTrue(needs_certificate(self.config))
        self.assertFalse(needs_certificate(self.parse(OWN, "tcp:8080")))


class WatchTests(CertificatesTestCase):
    """Ten seconds for each look."""

    def setUp(self) -> None:
        super().setUp()
        self.lines: list[str] = []
        observe: Any = self.note
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.clock = Clock()
        self.changes = 0
        self.watch = CertificateWatch(self.clock, self.changed, KEYS)
        self.watch.watch(self.config, load_shown(self.config, None, KEYS))
        self.watch.startService()
        self.addCleanup(self.watch.stopService)

    def note(self, event: Any) -> None:
        """Keep what is said."""
        if event.get("log_namespace") == "regbroker.assembly.certificates":
            self.lines.append(formatEvent(event))

    def changed(self) -> None:
        """Count a change."""
        self.changes += 1

    def look(self, changes: int, *words: str) -> None:
        """Wait for the next look: so many changes so far, a line for each word."""
        self.lines.clear()
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.changes, changes)
        self.assertEqual(len(self.lines), len(words), self.lines)
        for line, word in zip(self.lines, words, strict=True):
            self.assertIn(word, line)

    def test_changed(self) -> None:
        """A new pair is shown from the next look on."""
        before = self.watch.shown
        self.look(0)
        self.write(SECOND)
        self.look(1, "read again")
        self.assertIsNot(self.watch.shown, before)
        self.look(1)

    def test_half(self) -> None:
        """
        A certificate without its key is not taken.

        It is told when it is so a second time, and only once.
        """
        before = self.watch.shown
        (self.directory / "server.pem").write_bytes(SECOND.certificate)
        self.look(0)
        self.look(0, "does not belong")
        self.look(0)
        self.assertIs(self.watch.shown, before)
        self.write(SECOND)
        self.look(1, "read again")
        (self.directory / "server.key").unlink()
        self.look(1)
        self.look(1, "server.key")

    def test_pipe(self) -> None:
        """A pipe in the place of a file is told, and nobody waits for its writer."""
        for ending, option in (("key", "key"), ("pem", "certificate")):
            path = self.directory / f"server.{ending}"
            contents = path.read_bytes()
            path.unlink()
            os.mkfifo(path)
            self.look(0)
            self.look(0, f"[tls] {option}: {path}: no regular file")
            path.unlink()
            path.write_bytes(contents)
            self.look(0)

    def test_nothing_shown(self) -> None:
        """Where there is no TLS, nothing is looked at."""
        self.watch.watch(self.config, None)
        self.write(SECOND)
        self.look(0)

    def test_state_directory(self) -> None:
        """A self-signed pair that cannot be made is told, and the old one stays."""
        config = self.parse()
        shown = load_shown(config, None, KEYS)
        self.watch.watch(config, shown)
        state = self.directory / "state"
        for path in state.iterdir():
            path.unlink()
        state.rmdir()
        state.write_text("a file")
        self.look(0)
        self.look(0, "state-directory")
        self.assertIs(self.watch.shown, shown)
