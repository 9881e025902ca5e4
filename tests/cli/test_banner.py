"""The lines to paste."""

import shlex
from dataclasses import replace
from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.banner import banner
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config
from regbroker.transport.listening.listeners import CertificateFiles
from tests.certificates import issued

SANDBOX = """
[registry *]
upstream = box
namespaces = team = acme_team
[upstream box]
url = sandbox:
users = alice:wonderland
"""


def config(text: str = SANDBOX) -> Config:
    """Return a configuration with its state in /state."""
    return replace(
        parse_config(text, PurePath("/"), lambda path: None),
        state_directory=PurePath("/state"),
    )


class GreetingTests(SynchronousTestCase):
    """What is printed can be pasted and says what is served."""

    def test_sandbox(self) -> None:
        """As shipped: the self-signed certificate, the sandbox's user."""
        text = banner(config(), ["https://127.0.0.1:8443"])
        commands = [shlex.split(line) for line in text.splitlines() if "8443" in line]
        curl, token, skopeo, trust, login, tag, push = commands
        self.assertEqual(trust[-1], "/etc/docker/certs.d/localhost:8443/ca.crt")
        self.assertEqual(tag[-1], "localhost:8443/team/app:latest")
        self.assertEqual(
            curl,
            shlex.split(
                "curl --cacert /state/self-signed.pem https://localhost:8443/v2/ -i"
            ),
        )
        self.assertEqual(
            token[-1], "https://localhost:8443/auth?scope=repository:team/app:pull"
        )
        self.assertIn("alice:wonderland", skopeo)
        self.assertEqual(skopeo[-1], "docker://localhost:8443/team/app:latest")
        self.assertEqual(login[:3], ["docker", "login", "-u"])
        self.assertEqual(push, ["docker", "push", "localhost:8443/team/app:latest"])
        self.assertIn("team = acme_team", text)

    def test_named_hosts(self) -> None:
        """What is pasted asks for a host that is served."""
        for hosts, host in (("a.test, *.b.test", "a.test"), ("*.b.test", "registry.b")):
            named = config(
                SANDBOX.replace("upstream =", f"hosts = {hosts}\nupstream =")
            )
            text = banner(named, ["https://127.0.0.1:8443"])
            self.assertIn(f"https://{host}", text)
            self.assertNotIn("localhost", text)

    def test_named_registry(self) -> None:
        """A real certificate is not asked to be trusted; the host is the registry's."""
        named = config(SANDBOX.replace("*", "registry.example.com"))
        named = replace(
            named, certificates=(CertificateFiles("", PurePath("a"), PurePath("b")),)
        )
        text = banner(named, ["https://0.0.0.0:443"])
        self.assertNotIn("self-signed", text)
        self.assertNotIn("/etc/docker/certs.d", text)
        self.assertIn("https://registry.example.com:443/v2/", text)

    def test_certificate_for_others(self) -> None:
        """Where every host is served, it is one that the certificate is for."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        certificate, key = issued("registry.test").write(directory, "pair")
        files = CertificateFiles("", certificate, key)
        text = banner(
            replace(config(), certificates=(files,)), ["https://0.0.0.0:8443"]
        )
        self.assertIn("https://registry.test:8443/v2/", text)
        self.assertNotIn("localhost", text)

    def test_read_only(self) -> None:
        """Where nothing can be pushed, a pull is offered."""
        read_only = config(
            SANDBOX.replace("upstream = box", "upstream = box\nwrites=deny")
        )
        text = banner(read_only, ["https://127.0.0.1:8443"])
        commands = [shlex.split(line) for line in text.splitlines() if "8443" in line]
        _, _, skopeo, _, login, pull = commands
        self.assertEqual(
            skopeo,
            shlex.split(
                "skopeo inspect --tls-verify=false --creds alice:wonderland "
                "docker://localhost:8443/team/app:latest"
            ),
        )
        self.assertEqual(login[:2], ["docker", "login"])
        self.assertEqual(pull, ["docker", "pull", "localhost:8443/team/app:latest"])
        for word in ("copy", "push", "tag"):
            self.assertNotIn(word, text)

    def test_everything_that_is_served(self) -> None:
        """All upstreams are shown, and what this is a mirror of."""
        several = SANDBOX.replace("upstream = box", "upstream = box, other", 1)
        sources = "[regbroker]\nns =\n  docker.io = *\n  b.test:5000 = *\n"
        other = "[upstream other]\nurl = https://other.example/base/v2/\n"
        text = banner(config(sources + several + other), [])
        for line in (
            "  [registry *] -> [upstream box] a sandbox, for trying out",
            "               -> [upstream other] https://other.example/base",
            "  ns docker.io -> [registry *]",
            "  ns b.test:5000 -> [registry *]",
        ):
            self.assertIn(line, text.splitlines())

    def test_plain_listener(self) -> None:
        """Without TLS there is nothing to paste: a balancer stands in front."""
        text = banner(config(), ["http://127.0.0.1:8080"])
        self.assertNotIn("curl", text)
        self.assertIn("[registry *] -> [upstream box]", text)
