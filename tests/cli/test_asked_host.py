"""The host that a client asks for."""

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.asked_host import Asked, asked_host
from regbroker.settings.ini import parse_config
from tests.certificates import issued

TEXT = """
[tls]
certificate = first.pem
key = first.key
[registry {host}]
{hosts}
upstream = up
namespaces = * = *
[upstream up]
url = https://up.test
"""


class AskedHostTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def asked(
        self, host: str = "*", hosts: str = "", meant: str = "", main: str = ""
    ) -> Asked:
        """How a registry is asked."""
        text = f"[regbroker]\n{main}\n" + TEXT.format(host=host, hosts=hosts)
        config = parse_config(text, PurePath(self.directory), lambda path: None)
        return asked_host(config, config.registries[0], meant)

    def test_every_host(self) -> None:
        """Where every host is served, it is one that the certificate is for."""
        for names, expected in (
            (("a.test", "b.test"), "a.test"),
            (("*.test", "b.test"), "b.test"),
            (("*.test",), "registry.test"),
        ):
            issued(*names).write(self.directory, "first")
            self.assertEqual(self.asked(), Asked(expected))

    def test_written(self) -> None:
        """What is written in the configuration, or meant by who asks, comes first."""
        issued("a.test").write(self.directory, "first")
        self.assertEqual(self.asked("b.test"), Asked("b.test"))
        self.assertEqual(self.asked(hosts="hosts = c.test"), Asked("c.test"))
        self.assertEqual(self.asked(meant="d.test"), Asked("d.test"))

    def test_no_certificate(self) -> None:
        """A file that is none is told by other steps."""
        self.assertEqual(self.asked(), Asked("localhost"))
        (self.directory / "first.pem").write_text("nothing")
        self.assertEqual(self.asked(), Asked("localhost"))

    def test_mirror(self) -> None:
        """A mirror is asked by its own host for what it is a mirror of."""
        issued("mirror.test").write(self.directory, "first")
        main = "ns = docker.io = hub.test"
        for meant in ("", "hub.test"):
            self.assertEqual(
                self.asked("hub.test", meant=meant, main=main),
                Asked("mirror.test", "docker.io"),
            )
        self.assertEqual(self.asked("hub.test"), Asked("hub.test"))
        issued("hub.test").write(self.directory, "first")
        self.assertEqual(self.asked("hub.test", main=main), Asked("hub.test"))
