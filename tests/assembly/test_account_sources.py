"""Sources of accounts, tried without being opened."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.htpasswd import HtpasswdAccounts
from regbroker.accounts.key_file import make_key
from regbroker.assembly.account_sources import build_source, problems_with_accounts
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config

from .test_local_accounts import CONFIG


class SourceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        (self.directory / "htpasswd").write_text("")
        make_key(self.directory)

    def config(self, host: str) -> Config:
        """Return the configuration of a registry under one host."""
        text = CONFIG.format(host=host)
        return parse_config(text, PurePath(self.directory), lambda path: None)

    def test_htpasswd(self) -> None:
        """A file of htpasswd is a source that is not open yet."""
        clock: Any = Clock()
        (source,) = self.config("a.test").accounts["staff"].sources
        self.assertIsInstance(build_source(source, clock), HtpasswdAccounts)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_problems(self) -> None:
        """A key that is none is told without starting anything."""
        self.assertEqual(list(problems_with_accounts(self.config("a.test"))), [])
        (self.directory / "token-key.pem").write_text("no key")
        (problem,) = problems_with_accounts(self.config("a.test"))
        self.assertTrue(problem.startswith("[regbroker] signing-key: "), problem)
