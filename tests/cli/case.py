"""What tests of the ``regbroker`` command share."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.main import main

#: One registry with one rule.
CONFIG = """
[registry registry.example.com]
upstream = aliyun
namespaces =
    team = acme_team
[upstream aliyun]
url = https://registry.cn-shenzhen.aliyuncs.com
"""


class CommandCase(SynchronousTestCase):
    """Runs the command: what is printed where, and the exit status."""

    def run_command(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit status, output and errors."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(arguments)
        return status, out.getvalue(), err.getvalue()

    def write(self, text: str) -> str:
        """Return the path of a new file with this text."""
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)
