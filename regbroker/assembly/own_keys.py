"""
The keys that sign our tokens: those of ``signing-key``, or one in the state directory.

Who opens them is told of the option that has them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from regbroker.accounts.key_file import KEY_NAME, has_key, make_key, parse_keys
from regbroker.errors import StateError
from regbroker.runtime.state_directory import no_place, state_problem
from regbroker.runtime.watched_file import parse_file
from regbroker.settings.config import Config

T = TypeVar("T")

#: What is kept in the state directory, where ``signing-key`` names no file.
KEPT = "the key that signs tokens is kept"


def open_keys(config: Config, make: Callable[[Path], T]) -> T:
    """
    Return what `make` makes of the file of our keys, which is made if need be.

    Raises `StateError`, which names the option.
    """
    if config.signing_key is not None:
        path = Path(config.signing_key)
    else:
        path = make_key(Path(config.state_directory))
    try:
        return make(path)
    except StateError as error:
        raise StateError(_named(config, str(error))) from None


def problem_with_keys(config: Config) -> str | None:
    """Say why `open_keys` would fail, with the option; nothing is made."""
    directory = Path(config.state_directory)
    if config.signing_key is not None:
        path = Path(config.signing_key)
    elif has_key(directory):
        path = directory / KEY_NAME
    else:
        problem = state_problem(directory)
        return no_place(directory, problem, KEPT) if problem else None
    try:
        parse_file(path, parse_keys)
    except ValueError as error:
        return _named(config, str(error))
    return None


def _named(config: Config, problem: str) -> str:
    if config.signing_key is not None:
        return f"[regbroker] signing-key: {problem}"
    return (
        f"[regbroker] state-directory: {problem}; let the user that regbroker runs as "
        "own the file, or move it away: another key is made then, and tokens of the "
        "old one end"
    )
