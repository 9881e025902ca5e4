"""
The syntax of the ini file: sections, options, comments.

Conditions of subjects have equals signs in them, as in
``github[ref=refs/heads/main] = team/**: pull``, and an option of `configparser` ends at
the first one. So those between brackets have another sign while the text is parsed.
"""

from __future__ import annotations

import configparser
import re

from regbroker.errors import ConfigurationError

#: Line numbers that one problem names.
_MAX_LINES = 10

#: No text file has it.
_SIGN = "\x1d"

#: The beginning of a line, up to the equals sign after its brackets.
_CONDITIONS = re.compile(
    r"^[ \t]*[^\s=\[\];#][^=\[\]\n]*\[[^\]\n]*\][ \t]*=", re.MULTILINE
)


def parse_ini(text: str, problems: list[str]) -> configparser.RawConfigParser:
    """
    Parse the syntax; problems with it go to `problems`.

    Raises `ConfigurationError` when nothing can be read.
    """
    parser = _parse(_hidden(text), problems)
    for section in parser.sections():
        for name, value in parser.items(section):
            parser.set(section, name, _shown(value))
    return parser


def _parse(text: str, problems: list[str]) -> configparser.RawConfigParser:
    parser = _new_parser(strict=True)
    try:
        parser.read_string(text)
    except (
        configparser.DuplicateOptionError,
        configparser.DuplicateSectionError,
    ) as error:
        # There may be more to say about the rest.
        problems.append(_syntax_problem(error))
        parser = _new_parser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error as more:
            problems.append(_syntax_problem(more))
            raise ConfigurationError(problems) from more
    except configparser.Error as error:
        raise ConfigurationError([_syntax_problem(error)]) from error
    return parser


def _new_parser(strict: bool) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        inline_comment_prefixes=(";",),
        default_section="",
        strict=strict,
    )
    # Users and groups are options, too, and their names are what they are.
    parser.optionxform = _shown  # type: ignore[assignment,method-assign]
    return parser


def _syntax_problem(error: configparser.Error) -> str:
    line = getattr(error, "lineno", None)
    where = f"line {line}: " if line else ""
    if isinstance(error, configparser.DuplicateOptionError):
        return f"[{error.section}] {error.option}: {where}given twice; once is right"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"[{error.section}]: {where}this section stands twice; once is right"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"{where}an option stands before the first [section]"
    if isinstance(error, configparser.ParsingError):
        numbers = [str(number) for number, _ in error.errors]
        lines = ", ".join(numbers[:_MAX_LINES]) + (
            ", ..." if numbers[_MAX_LINES:] else ""
        )
        return f"line {lines}: neither '[section]' nor 'option = value'"
    return str(error)


def _hidden(text: str) -> str:
    """Return a text with another sign in the place of equals signs in brackets."""
    return _CONDITIONS.sub(
        lambda match: match[0][:-1].replace("=", _SIGN) + "=", text.replace(_SIGN, "?")
    )


def _shown(text: str) -> str:
    """Return a part of the text as it was written."""
    return text.replace(_SIGN, "=")
