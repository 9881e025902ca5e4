"""Why a file cannot be read."""

from __future__ import annotations

import errno
import os
import pwd

from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.unreadable import why_unreadable


class UnreadableTests(SynchronousTestCase):
    def test_reasons(self) -> None:
        """The system's own words; who lacks a right is named, and what to do."""
        missing = FileNotFoundError(errno.ENOENT, "No such file or directory")
        self.assertEqual(why_unreadable(missing), "No such file or directory")
        self.assertEqual(why_unreadable(OSError()), "OSError")
        denied = PermissionError(errno.EACCES, "Permission denied")
        name = pwd.getpwuid(os.geteuid()).pw_name
        self.assertEqual(
            why_unreadable(denied),
            f"Permission denied; let the user {name} read it, and enter each directory "
            "above it (chgrp, chmod g+r)",
        )

    def test_nameless(self) -> None:
        """A user without a name has a number."""
        self.patch(os, "geteuid", lambda: 4_000_000_000)
        denied = PermissionError(errno.EACCES, "Permission denied")
        self.assertIn("the user 4000000000 ", why_unreadable(denied))
