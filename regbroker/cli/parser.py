"""
The command line, read by argparse, and printed as all else that commands print.

argparse itself shows a traceback where who reads its help has seen enough, and it tells
of what it does not know with the usage of the whole program.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from regbroker.cli.printing import complain, say


class Parser(argparse.ArgumentParser):
    """A command, or one of its commands; what is parsed has it as `parser`."""

    #: Python 3.14 writes colours, which `say` would show as escapes.
    color = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._names: list[str] = []
        super().__init__(*arguments, **options)
        self.color = False
        self.set_defaults(parser=self)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Add an argument, and remember its names for what is nearly one of them."""
        self._names += [name for name in names if name.startswith("--")]
        return super().add_argument(*names, **options)

    def print_help(self, file: Any = None) -> None:
        """Print the help on standard output."""
        say(self.format_help().rstrip("\n"))

    def error(self, message: str) -> NoReturn:
        """Say how this command is used, and what is wrong; exit with status 2."""
        complain(f"{self.format_usage()}{self.prog}: error: {message}")
        sys.exit(2)

    def refuse(self, words: Iterable[str]) -> NoReturn:
        """Say which words are not understood, and what may be meant; as `error`."""
        from regbroker.settings.suggestions import suggestion

        words = list(words)
        meant = (suggestion(word.partition("=")[0], self._names) for word in words)
        hint = next((f"; {each.strip()}" for each in meant if each), "")
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")


class Version(argparse.Action):
    """An option that prints a version, and ends the process."""

    def __init__(self, *arguments: Any, version: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.nargs, self._version = 0, version

    def __call__(self, *arguments: object) -> NoReturn:
        """Print it."""
        say(self._version)
        sys.exit(0)
