"""
A section of the ini file, and what is wrong with it.

Its options are asked for one by one. What is wrong is noted, with section and
option, and the default is given instead; what nobody has asked for is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TypeVar

from regbroker.settings import values

T = TypeVar("T")

#: Says what is wrong with a file that must be readable; None when it is fine.
FileCheck = Callable[[PurePath], str | None]


class Section:
    """Reads one section's options, and notes what is wrong or left over."""

    def __init__(
        self,
        title: str,
        options: Mapping[str, str],
        problems: list[str],
        directory: PurePath,
        check_file: FileCheck,
        homes: Mapping[str, str],
    ) -> None:
        """`homes` has, by option, the section that it belongs in."""
        self.title = title
        self._homes = homes
        self._problems = problems
        self._options = dict(options)
        self._given = frozenset(options)
        #: The options that somebody has asked for.
        self.known: list[str] = []
        self._wrong: set[str] = set()
        self._directory = directory
        self._check_file = check_file

    def wrong(self, text: str) -> None:
        """Note what is wrong with the section as a whole."""
        self._problems.append(f"[{self.title}]: {_one_line(text)}")

    def problem(self, option: str, text: str) -> None:
        """Note what is wrong with one option."""
        self._wrong.add(option)
        self._problems.append(f"[{self.title}] {option}: {_one_line(text)}")

    def get(self, option: str, parse: Callable[[str], T], default: T) -> T:
        """Return an option's value; the default when it is wrong or not there."""
        self.known.append(option)
        text = self._options.pop(option, None)
        if text is None:
            return default
        try:
            return parse(text.strip())
        except values.InvalidValue as error:
            self.problem(option, str(error))
            return default

    def require(self, option: str, parse: Callable[[str], T], hint: str) -> T | None:
        """Return an option's value; that it is missing is a problem."""
        if option not in self._options:
            self.known.append(option)
            self.problem(option, f"missing; {hint}")
            return None
        return self.get(option, lambda text: parse(text), None)

    def path(self, text: str) -> PurePath:
        """Parse a path; relative ones start from the ini file's directory."""
        if not text:
            raise values.InvalidValue("empty; write a path")
        return self._directory / text

    def file(self, text: str) -> PurePath | None:
        """Parse the path of a file that must be readable."""
        path = self.path(text)
        problem = self._check_file(path)
        if problem is not None:
            raise values.InvalidValue(problem)
        return path

    def files(self, text: str) -> tuple[PurePath, ...]:
        """Parse the paths of files that must be readable, one a line."""
        paths = map(self.file, values.lines(text))
        return tuple(path for path in paths if path is not None)

    def options(self) -> tuple[str, ...]:
        """Return the options that nobody has read yet, in their order."""
        return tuple(self._options)

    def has(self, option: str) -> bool:
        """Tell whether an option is given and has not been read yet."""
        return option in self._options

    def gave(self, option: str) -> bool:
        """Tell whether an option stands in the section, read or not."""
        return option in self._given

    def is_wrong(self, option: str) -> bool:
        """Tell whether something has been wrong with an option."""
        return option in self._wrong

    def rest(self) -> dict[str, str]:
        """Return the options that nobody has read, and take them out."""
        rest, self._options = self._options, {}
        return rest

    def close(self) -> None:
        """Note the options that nobody knows."""
        for option in self._options:
            if option in self._homes:
                text = f"unknown option here; it belongs in {self._homes[option]}"
            else:
                text = f"unknown option; known here: {', '.join(self.known)}"
            self.problem(option, text)


def _one_line(text: str) -> str:
    """Return a text that may quote a value of several lines as one line."""
    return " ".join(map(str.strip, text.splitlines()))
