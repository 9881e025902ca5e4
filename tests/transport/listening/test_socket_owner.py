"""Whose the file of a unix socket is."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.endpoints import listener
from regbroker.transport.listening.socket_owner import give_to, owner_of

USER = pwd.getpwuid(os.getuid()).pw_name


class FilePort:
    """A port whose file the test has made."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.stopped = False

    def getHost(self) -> Any:
        return self

    def stopListening(self) -> None:
        self.stopped = True


class SocketOwnerTests(SynchronousTestCase):
    def test_owner(self) -> None:
        """Names become numbers; what is not named stays."""
        self.assertIsNone(owner_of(listener("unix:/s:mode=600")))
        found = owner_of(listener(f"unix:/s:user={USER}"))
        self.assertEqual(found, (os.getuid(), -1))

    def test_unknown(self) -> None:
        """Names that the machine does not have are told, user first."""
        for line, words in (
            ("unix:/s:user=no-such:group=nor-such", "no user 'no-such'"),
            (f"unix:/s:user={USER}:group=nor-such", "no group 'nor-such'"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                owner_of(listener(line))

    def test_given(self) -> None:
        """A file that is there is given; one that is not ends the listener."""
        path = Path(self.mktemp())
        path.touch()
        port = FilePort(path)
        self.assertIs(give_to(port, (os.getuid(), -1)), port)
        path.unlink()
        with self.assertRaisesRegex(ValueError, "owner cannot be set"):
            give_to(port, (os.getuid(), -1))
        self.assertTrue(port.stopped)
