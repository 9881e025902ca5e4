"""
What ``check`` tries on this machine, beside what keeps a file from being served.

It is about this moment and this user: a service that runs has its ports, and systemd
may start it with other rights. Serving says it as it starts, or never needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regbroker.assembly.readable import problem_with_file
from regbroker.assembly.seal import seal_warning
from regbroker.runtime.reopened_file import problem_with_log
from regbroker.settings.config import Config
from regbroker.transport.listening.obstacles import obstacle


def problems_here(config: Config) -> Iterator[str]:
    """Yield a line for each thing that this user could not do now."""
    yield from problems_with_listeners(config)
    problem = seal_warning(config.in_use())
    if problem is not None:
        yield problem
    yield from _problems_with_list(config)


def problems_with_listeners(config: Config) -> Iterator[str]:
    """Yield a line for each listener that could not be opened now."""
    listed = [("listen", each) for each in config.listen]
    listed += [("admin-listen", each) for each in config.admin_listen]
    for option, listener in listed:
        path = listener.where.path
        if path is not None and not path.is_absolute():
            problem: str | None = (
                "the path starts in the directory that regbroker is started in, which "
                "may not be this one; write the whole path, as "
                f"unix:/run/regbroker/{path.name}"
            )
        else:
            problem = obstacle(listener)
        if problem:
            yield f"[regbroker] {option}: {listener.text}: {problem}"


def _problems_with_list(config: Config) -> Iterator[str]:
    """Yield a line if ``regbroker token`` could not use its list."""
    path = config.robot_token_list
    if path is None:
        return
    problem = problem_with_log(Path(path))
    if problem is not None:
        problem = f"{path} cannot be written: {problem}"
    elif Path(path).exists():
        problem = problem_with_file(path)
    if problem is not None:
        yield (
            f"[regbroker] robot-token-list: {problem}; 'regbroker token' notes there "
            "what it makes: name a file, and make its directory, writable for who runs "
            "that command"
        )
