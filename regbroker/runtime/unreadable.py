"""Why a file cannot be read or written, in words that say what to do."""

from __future__ import annotations

import os
import pwd


def why_unreadable(error: OSError) -> str:
    """Return what an operator is told of an error of opening or reading a file."""
    reason = error.strerror or type(error).__name__
    if not isinstance(error, PermissionError):
        return reason
    return (
        f"{reason}; let the user {_this_user()} read it, and enter each directory "
        "above it (chgrp, chmod g+r)"
    )


def why_unwritable(error: OSError) -> str:
    """Return what an operator is told of an error of writing a file."""
    reason = error.strerror or type(error).__name__
    if not isinstance(error, PermissionError):
        return reason
    return (
        f"{reason}; let the user {_this_user()} write to it, or run the command as a "
        "user who may"
    )


def _this_user() -> str:
    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        # A container may have no name for it.
        return str(number)
