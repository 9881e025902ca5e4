"""What an upstream's section becomes: credentials, search, and the sandbox."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from regbroker.assembly.upstreams import (
    build_credentials,
    build_upstream,
)
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config
from regbroker.upstream.credential_helper import CredentialHelper
from regbroker.upstream.credentials import Credentials, Login

CONFIG = """
[regbroker]
state-directory = {directory}
[registry *]
upstream = up
namespaces = * = *
[upstream up]
{options}
"""
URL = "url = http://127.0.0.1:5000"


def config(directory: Path, *options: str) -> Config:
    """The configuration of one upstream."""
    text = CONFIG.format(directory=directory, options="\n".join(options))
    return parse_config(text, PurePath(directory), lambda path: None)


class CredentialsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.file = self.directory / "password"
        self.file.write_text("r0bot\n")

    def credentials(self, *options: str) -> Credentials | None:
        """Our account at an upstream with these options."""
        loop: Any = Clock()
        entry = config(self.directory, URL, *options).upstreams["up"]
        return build_credentials(entry, loop)

    def login(self, *options: str) -> Login:
        """What our account logs in with."""
        credentials = self.credentials(*options)
        assert credentials is not None
        return self.successResultOf(Deferred.fromCoroutine(credentials.get()))

    def test_none(self) -> None:
        """Without options there is no account of ours."""
        self.assertIsNone(self.credentials())

    def test_file(self) -> None:
        """The password is what the file holds, without the end of its line."""
        login = self.login("username = robot", f"password-file = {self.file}")
        self.assertEqual(login, Login("robot", "r0bot"))

    def test_environment(self) -> None:
        """The password is what the variable holds."""
        name = "REGBROKER_TEST_PASSWORD"
        os.environ[name] = "r0bot"
        self.addCleanup(os.environ.pop, name)
        login = self.login("username = robot", f"password-env = {name}")
        self.assertEqual(login, Login("robot", "r0bot"))

    def test_helper(self) -> None:
        """A credential helper is a program, which is not started before it is asked."""
        helper = self.credentials("credential-helper = no-such-helper")
        self.assertIsInstance(helper, CredentialHelper)


class ServiceTests(TestCase):
    async def test_sandbox(self) -> None:
        """The sandbox is started before its upstream, and stopped with it."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        loop: Any = reactor
        entries = config(directory, "url = sandbox:", "users = alice:wonderland")
        service = build_upstream(entries.upstreams["up"], entries, loop)
        service.startService()
        try:
            discovered = await service.upstream.discover()
            self.assertIsNotNone(discovered.realm)
            self.assertEqual(
                service.upstream.own_address("").origin.host,
                "127.0.0.1",
            )
        finally:
            await service.stopService()
        self.assertFalse(service.running)

    def test_search(self) -> None:
        """There is a search where the section has one."""
        directory = Path(self.mktemp()).absolute()
        loop: Any = Clock()
        for options, has_search in (
            ([], False),
            (["search-url = https://index.test"], True),
        ):
            entries = config(directory, URL, *options)
            service = build_upstream(entries.upstreams["up"], entries, loop)
            self.assertEqual(service.search is not None, has_search)
            self.assertEqual(service.upstream.name, "up")
            # While a reload is under way, the old one and the new one run side by side.
            self.assertIsNone(service.name)
