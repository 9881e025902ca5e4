"""The command line of ``twistd regbroker``, and the configuration that it names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.python import usage

from regbroker import __version__
from regbroker.assembly.loading import parse_text, read_text
from regbroker.errors import ConfigurationError
from regbroker.runtime.reopened_file import problem_with_log
from regbroker.settings.config import Config


class Options(usage.Options):
    """Command line of ``twistd regbroker``."""

    synopsis = "[options] --config FILE"
    longdesc = (
        "Serve container registries under names of your own: a reverse proxy and "
        "token broker that rewrites repository names in both directions."
    )
    optParameters = [["config", "c", None, "The configuration, an ini file."]]
    config: Config
    #: What the file held.
    text: str

    def opt_version(self) -> None:
        """Print the version of regbroker and exit."""
        print(f"regbroker {__version__}")
        sys.exit(0)

    def postOptions(self) -> None:
        """Read the configuration; exits with all its problems, if it has any."""
        path: str | None = self["config"]
        if path is None:
            raise usage.UsageError("--config FILE is missing")
        try:
            self.text = read_text(path)
            self.config = parse_text(self.text, path)
        except ConfigurationError as error:
            # Not UsageError: twistd prints all its options before that, and the
            # problems would be lost below them.
            problems = "\n".join(f"  {problem}" for problem in error.problems)
            sys.exit(f"regbroker: {path} cannot be served:\n{problems}")
        _check_pidfile(self.parent or {})


def _check_pidfile(twistd: Any) -> None:
    """Exit if twistd could not write its pidfile: it would show a traceback."""
    pidfile = twistd.get("pidfile")
    if not pidfile:
        return
    path = Path(twistd.get("rundir") or ".") / pidfile
    problem = problem_with_log(path)
    if problem is not None:
        sys.exit(
            f"regbroker: --pidfile {path}: {problem}; name a file in a directory that "
            "this user may write to, or write --pidfile= for none"
        )
