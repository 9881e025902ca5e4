"""What commands print: text on one stream or the other, whatever it quotes."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO


def say(text: str = "") -> None:
    """Print lines on standard output."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print lines on standard error."""
    _print(text, sys.stderr)


def say_json(value: Any) -> None:
    """Print a value as JSON, in ASCII."""
    _print(json.dumps(value, indent=2), sys.stdout)


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


def _print(text: str, stream: TextIO) -> None:
    text = visible(text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # A terminal that knows ASCII only shows the rest as escapes.
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(shown, file=stream, flush=True)
    except BrokenPipeError:
        # Who reads has seen enough, as `head` and `grep -q` have. The command goes on
        # to its own exit status, and Python has nothing to complain of at its end.
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), stream.fileno())
