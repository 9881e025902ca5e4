"""Imports that take less time, in a process of their own."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

PROGRAM = """\
import gc, sys
from regbroker.cli.quick_imports import RARELY_USED, quick_imports
with quick_imports():
    assert not gc.isenabled()
    import twisted.application.app, twisted.web.server
assert gc.isenabled() and gc.get_freeze_count()
assert set(RARELY_USED) <= set(sys.modules) and "http.client" not in sys.modules
import urllib.request
assert "http.client" not in sys.modules
assert urllib.request.Request("http://a.test").host == "a.test"
from http.cookiejar import CookieJar
assert len(CookieJar()) == 0 and "http.client" in sys.modules
with quick_imports():
    assert sys.modules["http.cookiejar"].CookieJar is CookieJar
"""


class QuickImportsTests(SynchronousTestCase):
    def test_quick(self) -> None:
        """What nobody uses is not loaded, and works when somebody does."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_errors(self) -> None:
        """Garbage is collected again when an import fails."""
        program = (
            "import gc\n"
            "from regbroker.cli.quick_imports import quick_imports\n"
            "try:\n"
            "    with quick_imports():\n"
            "        import regbroker.nothing\n"
            "except ImportError:\n"
            "    assert gc.isenabled()\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
