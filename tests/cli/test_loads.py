"""The quick commands load what they need, and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]

CONFIG = ROOT / "etc" / "regbroker.ini"

RUN = """\
import sys
from regbroker.cli.main import main
status = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(status)
"""


class LoadTests(SynchronousTestCase):
    def loaded(self, *arguments: str) -> set[str]:
        """Run a command on the shipped configuration; return the modules it loads."""
        done = subprocess.run(
            [sys.executable, "-c", RUN, *arguments, "--config", str(CONFIG)],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return set(done.stderr.split())

    def test_explain(self) -> None:
        """A name is looked up without TLS, hashes, web or upstreams."""
        loaded = self.loaded("explain", "localhost/team/app:1.0")
        self.assertIn("regbroker.cli.explain", loaded)
        needless = {"OpenSSL", "passlib", "treq", "twisted.web.server"}
        needless |= {"prometheus_client", "regbroker.service"}
        self.assertEqual(needless & loaded, set())

    def test_check(self) -> None:
        """What is only served with is not loaded to check it."""
        loaded = self.loaded("check")
        self.assertIn("regbroker.cli.check", loaded)
        needless = {"passlib", "treq", "twisted.web.server", "prometheus_client"}
        needless |= {"regbroker.service", "regbroker.upstream.registry"}
        self.assertEqual(needless & loaded, set())
