"""
A section of the ini file, read by the tables of `regbroker.settings.options`.

Problems are collected, each with section and option; an option with a problem is left
out, as if it were not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, TypeVar

from regbroker.settings.habits import hint
from regbroker.settings.invalid import InvalidValue, parse_each
from regbroker.settings.options import KINDS, Option, Table, names, section_of
from regbroker.settings.suggestions import suggestion

T = TypeVar("T")

#: Says what is wrong with a file that must be readable; None when it is fine.
FileCheck = Callable[[PurePath], str | None]

#: The title of a section, and an option in it that has a problem.
WrongOptions = Set[tuple[str, str]]


@dataclass
class FileReport:
    """The problems of a file and its warnings; relative paths start in `directory`."""

    directory: PurePath
    check_file: FileCheck
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    wrong: set[tuple[str, str]] = field(default_factory=set)


class Section:
    """
    One section.

    `title` is what stands in brackets, `texts` has the options as they are written.
    """

    def __init__(
        self, title: str, texts: Mapping[str, str], report: FileReport
    ) -> None:
        self.title = title
        self.texts = dict(texts)
        self._report = report

    def __contains__(self, option: str) -> bool:
        """Tell whether an option stands in the section, right or wrong."""
        return option in self.texts

    def is_wrong(self, option: str) -> bool:
        """Tell whether an option has a problem."""
        return (self.title, option) in self._report.wrong

    def wrong(self, text: str) -> None:
        """Add a problem with the section as a whole."""
        self._report.problems.append(f"[{self.title}]: {_one_line(text)}")

    def problem(self, option: str, text: str) -> None:
        """Add a problem with one option."""
        self._report.wrong.add((self.title, option))
        self._report.problems.append(f"[{self.title}] {option}: {_one_line(text)}")

    def warn(self, option: str, text: str) -> None:
        """Add a warning about one option."""
        self._report.warnings.append(f"[{self.title}] {option}: {_one_line(text)}")

    def read(self, table: Table) -> dict[str, Any]:
        """
        Return the values of a table's options by the fields that they set.

        Options that are missing or wrong are left out: their fields have defaults. So
        are those that name other sections. A required option that is missing is a
        problem.
        """
        values: dict[str, Any] = {}
        for option in table.options:
            if option.name not in self.texts:
                if option.required:
                    self.problem(option.name, f"missing; {option.required}")
            elif option.parse is not None:
                value = self.parse(
                    option.name, self._parser(option, option.parse), None
                )
                if not self.is_wrong(option.name):
                    values[option.field] = value
        return values

    def parse(self, option: str, parse: Callable[[str], T], default: T) -> T:
        """Return an option's value, and `default` when it is missing or wrong."""
        if option not in self.texts:
            return default
        try:
            return parse(self.texts[option].strip())
        except InvalidValue as error:
            kind = self.title.partition(" ")[0]
            known = names(kind) if kind in KINDS else ()
            what_to_do = hint(self.texts[option], known)
            for problem in error.problems:
                self.problem(option, f"{problem}{what_to_do}")
                # It is about the value as a whole.
                what_to_do = ""
            return default

    def path(self, path: PurePath) -> PurePath:
        """Return a path that starts from the file's directory if it is relative."""
        return self._report.directory / path

    def check_names(self, kind: str) -> None:
        """Add a problem for each option that this kind of section does not have."""
        known = names(kind)
        for option in self.texts:
            if option in known:
                continue
            section = section_of(option)
            if section is not None:
                text = f"unknown option here; it belongs in {section}"
            else:
                near = suggestion(option, known)
                if option == "password":
                    near = "a password is in a file of its own: password-file; "
                text = f"unknown option; {near}known here: {', '.join(known)}"
            self.problem(option, text)

    def _parser(
        self, option: Option, parse: Callable[[str], Any]
    ) -> Callable[[str], Any]:
        """Return `parse` for values that may be paths, which start from the file."""

        def parse_and_locate(text: str) -> Any:
            value = parse(text)
            if isinstance(value, PurePath):
                return self._located(value, option)
            if option.is_file:
                return parse_each(value, lambda path: self._located(path, option))
            return value

        return parse_and_locate

    def _located(self, path: PurePath, option: Option) -> PurePath:
        path = self.path(path)
        problem = self._report.check_file(path) if option.is_file else None
        if problem is not None:
            raise InvalidValue(problem)
        return path


def _one_line(text: str) -> str:
    """Return a text that may quote a value of several lines as one line."""
    return " ".join(map(str.strip, text.splitlines()))
