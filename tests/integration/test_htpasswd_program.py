"""Files that the real `htpasswd` writes, while they are read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from regbroker.accounts.htpasswd import HtpasswdAccounts

from .peers.processes import base_environment, require_programs, run

KINDS = {
    "bcrypt": ["-B"],
    "apr1": ["-m"],
    "sha1": ["-s"],
    "crypt": ["-d"],
    "sha256": ["-2"],
    "sha512": ["-5", "-r", "6000"],
}

CHANGE_SECONDS = 5.0
"""A change counts within this; it takes one, but machines may be busy."""


class HtpasswdTests(TestCase):
    """`htpasswd` writes, regbroker reads."""

    def setUp(self) -> None:
        require_programs("htpasswd")
        self.directory = Path(tempfile.mkdtemp(prefix="peers-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "htpasswd"
        self.accounts = HtpasswdAccounts(self.path, cast(Any, reactor))
        self.addCleanup(self.accounts.close)

    def htpasswd(self, *words: str, password: str = "") -> None:
        """Run `htpasswd` on the file, with the password on its standard input."""
        options, (user,) = words[:-1], words[-1:]
        done = run(
            ["htpasswd", *options, self.path, user],
            base_environment(self.directory),
            password,
        )
        self.assertEqual(done.status, 0, done)

    def add(self, user: str, password: str, *options: str) -> None:
        """Give a user a password."""
        create = [] if self.path.exists() else ["-c"]
        self.htpasswd("-i", *create, *options, user, password=password)

    async def is_right(self, user: str, password: str) -> bool:
        """Whether regbroker takes the password."""
        account = await self.accounts.authenticate(user, password)
        return account is not None and account.user == user

    async def soon(self, condition: Callable[[], object]) -> None:
        """Return when something holds; fail when it takes longer than promised."""
        deadline = reactor.seconds() + CHANGE_SECONDS
        while not condition():
            self.assertLess(reactor.seconds(), deadline)
            await deferLater(reactor, 0.02)

    async def test_every_kind(self) -> None:
        """Each kind of hash, with letters beyond ASCII in names and passwords."""
        for kind, options in KINDS.items():
            self.add(f"{kind}-ü", "geheim", *options)
            # crypt sees eight bytes
            self.add(kind, "ünd", *options)
        self.accounts.open()
        for kind in KINDS:
            self.assertTrue(await self.is_right(f"{kind}-ü", "geheim"), kind)
            self.assertFalse(await self.is_right(f"{kind}-ü", "Geheim"), kind)
            self.assertTrue(await self.is_right(kind, "ünd"), kind)
            self.assertFalse(await self.is_right(kind, "und"), kind)

    async def test_plain_text(self) -> None:
        """Plain text never matches; the others still count."""
        self.add("alice", "secret", "-B")
        self.add("bob", "hunter2", "-p")
        self.accounts.open()
        self.assertTrue(await self.is_right("alice", "secret"))
        self.assertFalse(await self.is_right("bob", "hunter2"))

    async def test_long_passwords(self) -> None:
        """A password beyond bcrypt's 72 bytes works as it does in Apache."""
        long = "ä" * 100
        self.add("alice", long, "-B")
        self.add("bob", long, "-5")
        self.accounts.open()
        for user in ("alice", "bob"):
            self.assertTrue(await self.is_right(user, long), user)
            self.assertFalse(await self.is_right(user, long[:30]), user)

    async def test_changes(self) -> None:
        """Users come, go and change passwords while the file is in use."""
        password_version = self.accounts.current_password_version
        self.accounts.open()
        self.add("alice", "first", "-B")
        await self.soon(lambda: password_version("alice"))
        self.assertTrue(await self.is_right("alice", "first"))

        before = password_version("alice")
        self.add("alice", "second", "-B")
        await self.soon(lambda: password_version("alice") != before)
        self.assertFalse(await self.is_right("alice", "first"))
        self.assertTrue(await self.is_right("alice", "second"))

        before = password_version("alice")
        self.add("bob", "hunter2", "-B")
        await self.soon(lambda: password_version("bob"))
        self.assertEqual(password_version("alice"), before)
        self.assertTrue(await self.is_right("bob", "hunter2"))

        self.htpasswd("-D", "alice")
        await self.soon(lambda: not password_version("alice"))
        self.assertFalse(await self.is_right("alice", "second"))
        self.assertTrue(await self.is_right("bob", "hunter2"))
