"""The way to the upstream: through tinyproxy, by a unix socket, with a certificate."""

from __future__ import annotations

import contextlib
import http.client

from .case import RegbrokerTestCase
from .peers.docker_registry import DockerRegistry
from .peers.nginx import AskingNginx
from .peers.processes import poll, require_programs
from .peers.squid import Squid
from .peers.tinyproxy import Tinyproxy
from .transfers_case import TransfersTestCase

USER = "egress"
PASSWORD = "eGr3ss-pa55"


class ProxyTestCase(RegbrokerTestCase):
    """A registry with a token server, which regbroker reaches through a proxy alone."""

    def start_upstream(self) -> None:
        super().start_upstream()
        self.proxy = self.make_proxy()
        self.addCleanup(self.proxy.stop)
        self.proxy.start()

    def make_proxy(self) -> Tinyproxy | Squid:
        """The proxy."""
        return Tinyproxy(self.directory / "proxy")

    def options(self) -> str:
        """Lines of the upstream's section."""
        return f"proxy = {self.proxy.url}"

    def start_regbroker(self) -> None:
        self.start_regbroker_for(self.registry.url, self.options())
        self.addCleanup(self.assert_sides_kept_apart)

    def push_and_pull(self) -> None:
        """Push an image as alice, and pull it."""
        image = self.make_image()
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assert_done(skopeo.push(image.source, f"{self.host}/team/app:1"))
        copy = f"oci:{self.directory}/copy:1"
        self.assert_done(skopeo.pull(f"{self.host}/team/app:1", copy))


class ProxyTests(ProxyTestCase):
    def test_push_and_pull(self) -> None:
        """The registry and its token server are both reached through the proxy."""
        self.push_and_pull()
        ports = {port for _, port in self.proxy.connected()}
        self.assertEqual(ports, {self.registry.port, self.token_server.port})

    def test_proxy_gone(self) -> None:
        """Without the proxy there is no way; the log blames the proxy."""
        self.proxy.stop()
        reply = self.https.request("GET", "/v2/team/app/tags/list")
        self.assertIn(reply.status, (401, 503))
        reply = self.https.get_token("/auth", "alice", "alice's secret")
        self.assertEqual(reply.status, 503, reply)
        self.assertNotIn("proxy", reply.body.decode())
        self.assertIn(f"the proxy {self.proxy.url} cannot be reached", self.log())

    def log(self) -> str:
        """regbroker's log."""
        return self.regbroker.log()


class RefusingProxyTests(ProxyTestCase):
    """The proxy has rules that do not allow these ports."""

    def make_proxy(self) -> Tinyproxy | Squid:
        return Tinyproxy(self.directory / "proxy", ports=(443,))

    def test_refused(self) -> None:
        """The log says that the proxy refuses, and what to look at."""
        reply = self.https.request("GET", "/v2/")
        self.assertEqual(reply.status, 503, reply)
        log = self.regbroker.log()
        self.assertIn(f"the proxy {self.proxy.url} refuses CONNECT to", log)
        self.assertIn("403", log)
        self.assertEqual(self.registry.requests(), [])


class CredentialsTests(ProxyTestCase):
    """The proxy wants a user and a password."""

    def make_proxy(self) -> Tinyproxy | Squid:
        return Tinyproxy(self.directory / "proxy", login=(USER, PASSWORD))

    def options(self) -> str:
        self.credentials = self.directory / "proxy-credentials"
        self.write(f"{USER}:{PASSWORD}\n")
        return f"{super().options()}\nproxy-credentials-file = {self.credentials}"

    def write(self, text: str) -> None:
        """Write the credentials file."""
        self.credentials.touch(0o600)
        self.credentials.write_text(text)

    def secrets_logged(self) -> list[str]:
        log = self.regbroker.log()
        return super().secrets_logged() + [PASSWORD] * (PASSWORD in log)

    def test_push_and_pull(self) -> None:
        """With them, everything works; they are in no log."""
        self.push_and_pull()


class NoCredentialsTests(CredentialsTests):
    """They are not written anywhere."""

    def options(self) -> str:
        return ProxyTestCase.options(self)

    def test_push_and_pull(self) -> None:
        """The log says which option is missing."""
        self.assertEqual(self.https.request("GET", "/v2/").status, 503)
        self.assertIn("(407); write proxy-credentials-file", self.regbroker.log())


class SquidTests(CredentialsTests):
    """The same through squid, which wants a user and a password, too."""

    def make_proxy(self) -> Squid:
        squid = Squid(login=(USER, PASSWORD))
        self.addCleanup(squid.remove)
        return squid

    def test_push_and_pull(self) -> None:
        """The registry and its token server are both reached through the proxy."""
        self.push_and_pull()
        self.regbroker.stop()
        # squid writes a tunnel down when it has ended.
        wanted = {self.registry.port, self.token_server.port}
        poll(
            lambda: {port for _, port in self.proxy.connected()} == wanted,
            "both in squid's log",
        )


class WrongPasswordTests(SquidTests):
    """squid has another password."""

    def options(self) -> str:
        options = super().options()
        self.write(f"{USER}:another-one\n")
        return options

    def test_push_and_pull(self) -> None:
        """The log says that the proxy refuses it; clients hear of no proxy."""
        reply = self.https.request("GET", "/v2/")
        self.assertEqual(reply.status, 503, reply)
        self.assertNotIn("proxy", reply.body.decode())
        log = self.regbroker.log()
        self.assertIn("refuses the user and password for it (407)", log)
        self.assertNotIn("another-one", log)


class RefusingSquidTests(RefusingProxyTests):
    """squid has rules that do not allow these ports."""

    def make_proxy(self) -> Squid:
        squid = Squid(ports=(443,))
        self.addCleanup(squid.remove)
        return squid


class SquidEndsTests(TransfersTestCase):
    """squid ends in the middle of a transfer."""

    def start_regbroker_for(self, url: str, upstream: str = "") -> None:
        self.squid = Squid()
        self.addCleanup(self.squid.remove)
        self.squid.start()
        super().start_regbroker_for(url, f"proxy = {self.squid.url}")

    def test_pull(self) -> None:
        """The blob is not whole for the client, and the log says who broke off."""
        response, first = self.begin_pull()
        self.squid.stop()
        read = len(first)
        with contextlib.suppress(http.client.HTTPException, OSError):
            while block := response.read(1 << 20):
                read += len(block)
        self.assertLess(read, self.size)
        poll(lambda: self.lines_about("GET"), "the pull in the log")
        self.assertIn("cause=upstream-broke-off", self.lines_about("GET")[0])

    def test_push(self) -> None:
        """The client is told, if it listens, and the log says who broke off."""
        with contextlib.suppress(OSError):
            self.assertEqual(self.push(self.squid.stop).status, 502)
        poll(lambda: self.lines_about("PATCH"), "the push in the log")
        self.assertIn("cause=upstream-", self.lines_about("PATCH")[0])


class UnixSocketTests(RegbrokerTestCase):
    """docker-registry on a unix socket, with the token server it believes."""

    def make_registry(self) -> DockerRegistry:
        return DockerRegistry(
            self.directory / "registry",
            self.authority,
            self.tokens,
            tls=False,
            socket=self.directory / "r.sock",
        )

    def start_regbroker(self) -> None:
        self.start_regbroker_for(
            f"unix:{self.directory}/r.sock", "token-hosts = 127.0.0.1"
        )
        self.addCleanup(self.assert_sides_kept_apart)

    def test_push_and_pull(self) -> None:
        """As over TCP."""
        image = self.make_image()
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assert_done(skopeo.push(image.source, f"{self.host}/team/app:1"))
        copy = f"oci:{self.directory}/copy:1"
        self.assert_done(skopeo.pull(f"{self.host}/team/app:1", copy))
        reply = self.https.request(
            "GET",
            "/v2/team/app/tags/list",
            self.token("alice", "repository:team/app:pull"),
        )
        self.assertEqual(reply.json(), {"name": "team/app", "tags": ["1"]})


class ClientCertificateTests(RegbrokerTestCase):
    """nginx stands before the registry, and wants a certificate of regbroker."""

    def start_upstream(self) -> None:
        super().start_upstream()
        require_programs("nginx")
        self.nginx = AskingNginx(
            self.directory / "nginx", self.registry.port, self.authority
        )
        self.addCleanup(self.nginx.stop)
        self.nginx.start()

    def make_registry(self) -> DockerRegistry:
        return DockerRegistry(
            self.directory / "registry", self.authority, self.tokens, tls=False
        )

    def options(self) -> str:
        """Lines of the upstream's section."""
        pair = self.authority.issue_client("regbroker")
        certificate, key = pair.write(self.directory, "client")
        return f"client-certificate = {certificate}\nclient-key = {key}"

    def start_regbroker(self) -> None:
        self.start_regbroker_for(self.nginx.url, self.options())
        self.addCleanup(self.assert_sides_kept_apart)

    def test_shown(self) -> None:
        """With the certificate, nginx lets regbroker through."""
        image = self.make_image()
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assert_done(skopeo.push(image.source, f"{self.host}/team/app:1"))


class NoCertificateTests(ClientCertificateTests):
    """regbroker has none."""

    def options(self) -> str:
        return ""

    def test_shown(self) -> None:
        """nginx does not, and says 400."""
        reply = self.https.request("GET", "/v2/team/app/tags/list")
        self.assertGreaterEqual(reply.status, 400, reply)
        self.assertEqual(self.registry.requests(), [])
