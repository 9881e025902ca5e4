"""A registry with accounts of regbroker's own, and the files that it needs."""

from __future__ import annotations

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import make_key
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config

CONFIG = """
[regbroker]
signing-key = token-key.pem
state-directory = .
[registry {host}]
upstream = bare
accounts = staff
namespaces = * = *
[upstream bare]
url = http://127.0.0.1:5000
[accounts staff]
htpasswd = htpasswd
[access staff]
anonymous = **: pull
"""


class LocalAccountsTestCase(SynchronousTestCase):
    """A directory with an htpasswd file and a signing key, and a `config` for it."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        (self.directory / "htpasswd").write_text("")
        make_key(self.directory)

    def config(self, host: str) -> Config:
        """Return the configuration of a registry under one host."""
        text = CONFIG.format(host=host)
        return parse_config(text, PurePath(self.directory), lambda path: None)
