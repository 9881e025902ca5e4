"""Why a file cannot be read."""

from __future__ import annotations

import errno
import os
import pwd

from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.unreadable import why_unreadable, why_unwritable


class UnreadableTests(SynchronousTestCase):
    def test_reasons(self) -> None:
        """The system's own words; who lacks a right is named, and what to do."""
        missing = FileNotFoundError(errno.ENOENT, "No such file or directory")
        for why in (why_unreadable, why_unwritable):
            self.assertEqual(why(missing), "No such file or directory")
            self.assertEqual(why(OSError()), "OSError")
        denied = PermissionError(errno.EACCES, "Permission denied")
        name = pwd.getpwuid(os.geteuid()).pw_name
        self.assertEqual(
            why_unreadable(denied),
            f"Permission denied; let the user {name} read it, and enter each directory "
            "above it (chgrp, chmod g+r)",
        )

        self.assertEqual(
            why_unwritable(denied),
            f"Permission denied; let the user {name} write to it, or run the command "
            "as a user who may",
        )

    def test_nameless(self) -> None:
        """A user without a name has a number."""
        self.patch(os, "geteuid", lambda: 4_000_000_000)
        denied = PermissionError(errno.EACCES, "Permission denied")
        self.assertIn("the user 4000000000 ", why_unreadable(denied))
