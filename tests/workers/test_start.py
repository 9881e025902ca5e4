"""What a worker is told."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import ConfigurationError
from regbroker.workers.start import Served, parse_served

TEXT = """\
[registry *]
upstream = up, other
namespaces =
    a = up:b
    c = other:d
[upstream up]
url = sandbox:
[upstream other]
url = https://registry.example.com
"""


class StartTests(SynchronousTestCase):
    def test_config(self) -> None:
        """The text is what counts; a sandbox is where it runs already."""
        served = Served("/nowhere/r.ini", TEXT, {"up": "http://127.0.0.1:5000"})
        sent = parse_served(json.loads(json.dumps(served.document())))
        self.assertEqual(sent, served)
        upstreams = sent.config().upstreams
        self.assertEqual(upstreams["up"].url, "http://127.0.0.1:5000")
        self.assertEqual(upstreams["other"].url, "https://registry.example.com")

    def test_problem(self) -> None:
        """What is wrong with it is said as everywhere."""
        served = Served("r.ini", "[registry *]", {})
        self.assertRaises(ConfigurationError, served.config)
