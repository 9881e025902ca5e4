"""What is wrong with the parts that a configuration names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.problems import problems_with_parts
from regbroker.settings.ini import parse_config
from regbroker.transport.listening.listeners import Listener
from tests.certificates import issued

TEXT = """
[regbroker]
listen = {listen}
[registry a.test]
upstream = up
namespaces = * = *
[registry *]
hosts = b.test
upstream = up
namespaces = * = *
[upstream up]
url = https://up.test
{more}
"""


class ProblemsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def problems(self, listen: str = "tls:0", more: str = "") -> list[str]:
        """The problems of a configuration beside this directory."""
        text = TEXT.format(listen=listen, more=more)
        config = parse_config(text, PurePath(self.directory), lambda path: None)
        return list(problems_with_parts(config))

    def test_nothing(self) -> None:
        """A state directory that can be made, and nothing stays of the trial."""
        self.assertEqual(self.problems(), [])
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_endpoints(self) -> None:
        """What only Twisted knows to be wrong, with the option."""
        text = TEXT.format(listen="tcp:0", more="")
        config = parse_config(text, PurePath(self.directory), lambda path: None)
        wrong = Listener("tcp:0:x", "tcp:0:interfce=x", tls=False)
        (problem,) = problems_with_parts(replace(config, admin_listen=(wrong,)))
        self.assertIn("[regbroker] admin-listen: 'tcp:0:x' is not unders", problem)

    def test_parts(self) -> None:
        """Endpoints, CA files, certificates: each with its option."""
        issued("a.test").write(self.directory, "a")
        for listen, more, start in (
            ("tcp:0", "ca-file = a.key", "[upstream up] ca-file: "),
            (
                "tcp:0",
                "client-certificate = a.pem\nclient-key = a.pem",
                "[upstream up] client-key: ",
            ),
            (
                "tcp:0",
                "proxy = http://p.test\nproxy-credentials-file = a.pem",
                "[upstream up] proxy-credentials-file: ",
            ),
            ("tcp:0\nclient-ca = a.key", "", "[regbroker] client-ca: "),
            ("unix:s:user=no-such-user", "", "[regbroker] listen: 'unix:s:user="),
            (
                "tls:0",
                "[tls]\ncertificate = a.pem\nkey = a.pem",
                "[tls] key: ",
            ),
        ):
            (problem,) = self.problems(listen, more)
            self.assertTrue(problem.startswith(start), problem)
