"""
``regbroker check``: all that is wrong with a configuration, and what it would serve.

Errors keep a configuration from being served; warnings do not. Both are what twistd
says of the same file when it starts. Rights that are not what their tests say are
errors here, and warnings there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regbroker.assembly.file_rights import file_rights
from regbroker.assembly.loading import (
    load_config,
    rights_problems,
    warnings_about,
)
from regbroker.cli.findings import Finding
from regbroker.cli.printing import complain, say, say_json
from regbroker.cli.summary import summary
from regbroker.cli.tried_here import problems_here
from regbroker.errors import ConfigurationError
from regbroker.settings.config import Config


def check(
    path: str, *, strict: bool = False, quiet: bool = False, as_json: bool = False
) -> int:
    """
    Print what is wrong with the file at `path`; returns the exit status.

    That is 1 when there are errors, and for warnings, too, when it is `strict`; those
    about what this user could not do at this moment, such as to open a listener, do
    not count. When it is `quiet`, that is not tried, and what would be served is not
    printed.
    """
    config: Config | None = None
    errors: Sequence[str] = ()
    warnings: Sequence[str] = ()
    try:
        config = load_config(path)
    except ConfigurationError as error:
        errors = error.problems
    else:
        warnings = (*warnings_about(config, rights=False), *file_rights(config))
        errors = tuple(rights_problems(config))
    failed = bool(errors or (strict and warnings))
    if config is not None and not quiet:
        # About this moment, not about the file: a service that runs has its ports.
        warnings = (*warnings, *problems_here(config))
    if as_json:
        say_json(_document(path, config, errors, warnings, failed))
        return int(failed)
    for text in errors:
        complain(f"error: {text}")
    for text in warnings:
        complain(f"warning: {text}")
    if config is None:
        complain(f"{path} cannot be served: {_count(len(errors), 'error')}")
    elif not quiet:
        kinds = (len(warnings), "warning"), (len(errors), "failed test")
        said = ", ".join(_count(number, what) for number, what in kinds if number)
        counted = f" ({said})" if said else ""
        say("\n".join([f"{path} can be served{counted}", *summary(config)]))
    return int(failed)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _document(
    path: str,
    config: Config | None,
    errors: Sequence[str],
    warnings: Sequence[str],
    failed: bool,
) -> dict[str, Any]:
    return {
        "file": path,
        "ok": not failed,
        "can_be_served": config is not None,
        "errors": [Finding.parse(text)._asdict() for text in errors],
        "warnings": [Finding.parse(text)._asdict() for text in warnings],
        "summary": [] if config is None else summary(config),
    }
