"""What commands print: text on one stream or the other, whatever it quotes."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any, TextIO


def say(text: str = "") -> None:
    """Print lines on standard output; ends the command where that has no room."""
    _say(text)


def complain(text: str) -> None:
    """Print lines on standard error, if there is any."""
    with suppress(OSError):
        _print(text, sys.stderr)


def say_json(value: Any) -> None:
    """Print a value as JSON, in ASCII."""
    _say(json.dumps(value, indent=2))


def visible(text: str) -> str:
    """
    Return a text that shows what is in it, and does nothing to a terminal.

    Line ends stay; other control characters, and halves of a character, are written
    as escapes.
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in text
    )


def _say(text: str) -> None:
    try:
        _print(text, sys.stdout)
    except BrokenPipeError:
        # Who reads has seen enough, as `head` and `grep -q` have. The command goes on
        # to its own exit status.
        pass
    except OSError as error:
        complain(f"error: standard output cannot be written: {error.strerror}")
        sys.exit(1)


def _print(text: str, stream: TextIO) -> None:
    text = visible(text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # A terminal that knows ASCII only shows the rest as escapes.
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(shown, file=stream, flush=True)
    except OSError:
        # At its end, Python would complain once more of what is left.
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), stream.fileno())
        raise
