"""The command line of ``twistd regbroker``, and the configuration that it names."""

from __future__ import annotations

import sys

from twisted.python import usage

from regbroker import __version__
from regbroker.assembly.loading import parse_text, read_text
from regbroker.errors import ConfigurationError
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
