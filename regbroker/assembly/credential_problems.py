"""
What is wrong with the passwords of our own accounts, without asking anybody.

It is apart from what builds upstreams, so that ``regbroker check`` need not load that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regbroker.settings.config import Config
from regbroker.upstream.credentials import environment_password, password_problem


def problems_with_credentials(config: Config) -> Iterator[str]:
    """Say which passwords of our own accounts cannot be ones; starts nothing."""
    for name, entry in config.upstreams.items():
        option, problem = "", None
        if entry.password_file is not None:
            option = "password-file"
            problem = password_problem(Path(entry.password_file))
        elif entry.password_env:
            option = "password-env"
            try:
                environment_password(entry.password_env)
            except ValueError as error:
                problem = str(error)
        if problem is not None:
            yield f"[upstream {name}] {option}: {problem}"
