"""`regbroker doctor` by every way to upstreams and listeners, broken on purpose."""

from __future__ import annotations

import http.client
import os
import socket
import sys
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.protocol import Factory
from twisted.internet.ssl import ContextFactory

from regbroker.cli.doctor.command import Request, examine
from regbroker.cli.doctor.steps import Step, lines
from regbroker.service import load_config
from tests.certificates import Pair, authority, issued, pem_of
from tests.doctorcase import DoctorCase, Fake, Script, reactor

from .peers.certificates import Authority
from .peers.nginx import AskingNginx
from .peers.processes import Daemon, base_environment, require_programs
from .peers.squid import Squid
from .peers.systemd import activated
from .peers.tinyproxy import Tinyproxy

NOBODY = 65534


class WaysTestCase(DoctorCase):
    """An upstream by one way, and the listeners of a regbroker that runs."""

    def tinyproxy(self, **options: Any) -> str:
        """The lines for a proxy that was started."""
        proxy = Tinyproxy(self.directory / "proxy", **options)
        self.addCleanup(proxy.stop)
        proxy.start()
        return f"proxy = {proxy.url}\n"

    async def assert_ways(self, url: str, upstream: str, *names: str) -> list[Step]:
        """All is well, and the steps begin with these."""
        steps = await self.steps(url, upstream=upstream)
        self.assertEqual([s for s in steps if s.trouble], [], list(lines(steps)))
        self.assertEqual(tuple(step.name for step in steps[: len(names)]), names)
        self.assertEqual(steps[-1].name, "blob")
        return steps


class ProxyTests(WaysTestCase):
    """Through tinyproxy, and through squid."""

    async def test_through(self) -> None:
        """The tunnel is a step of its own; TLS is with the server behind it."""
        fake = Fake()
        port = self.listen(fake.answer, issued("localhost"))
        fake.realm = (
            f"https://localhost:{self.listen(fake.answer, issued('localhost'))}/token"
        )
        steps = await self.assert_ways(
            f"https://localhost:{port}",
            self.tinyproxy(),
            *("proxy: TCP", "CONNECT", "TLS", "ping", "challenge"),
            *("token: CONNECT", "token: TLS", "token"),
        )
        self.assertIn(f"localhost:{port} through http://127.0.0.1:", steps[1].seen)

    async def test_certificate_behind(self) -> None:
        port = self.listen(Fake().answer, issued("localhost", days=-2))
        await self.assert_cause(
            "TLS",
            "it has expired on ",
            f"https://localhost:{port}",
            upstream=self.tinyproxy(),
        )

    async def test_plain_behind(self) -> None:
        """What is wrong with the server behind is not blamed on the proxy."""
        port = self.listen_at_once(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await self.assert_cause(
            "TLS",
            "behind the proxy, answers in plain text",
            f"https://localhost:{port}",
            upstream=self.tinyproxy(),
        )

    async def test_no_proxy_there(self) -> None:
        advice = await self.assert_cause(
            "proxy: TCP",
            "nothing listens on port",
            "https://registry.test",
            upstream=f"proxy = http://127.0.0.1:{self.closed_port()}",
        )
        self.assertIn("the proxy", advice)

    async def test_no_http_proxy(self) -> None:
        port = self.listen_at_once(b"220 mail.example ESMTP\r\n")
        await self.assert_cause(
            "CONNECT",
            "it closed the connection without an answer",
            "https://registry.test",
            upstream=f"proxy = http://127.0.0.1:{port}",
        )

    async def test_wants_credentials(self) -> None:
        await self.assert_cause(
            "CONNECT",
            "wants a user and a password (407); write proxy-credentials-file",
            "https://registry.test",
            upstream=self.tinyproxy(login=("egress", "eGr3ss")),
        )

    async def test_refused_target(self) -> None:
        port = self.listen(Fake().answer)
        await self.assert_cause(
            "CONNECT",
            "refuses CONNECT to",
            f"http://localhost:{port}",
            upstream=self.tinyproxy(ports=(443,)),
        )

    async def test_closed_target(self) -> None:
        advice = await self.assert_cause(
            "CONNECT",
            "could not reach localhost",
            f"http://localhost:{self.closed_port()}",
            upstream=self.tinyproxy(),
        )
        self.assertIn("from the proxy's machine", advice)

    async def test_squid(self) -> None:
        """With the right password all is well; a wrong one is said, and not shown."""
        squid = Squid(login=("egress", "eGr3ss"))
        self.addCleanup(squid.remove)
        squid.start()
        url = f"http://localhost:{self.listen(Fake().answer)}"
        secret = self.directory / "credentials"
        upstream = f"proxy = {squid.url}\nproxy-credentials-file = {secret}"
        secret.write_text("egress:eGr3ss\n")
        await self.assert_ways(url, upstream, "proxy: TCP", "CONNECT", "ping")
        secret.write_text("egress:another\n")
        await self.assert_cause(
            "CONNECT", "refuses the user and password", url, upstream=upstream
        )

    async def test_rules_of_redirects(self) -> None:
        """A proxy looks names up, so it is the name that regbroker judges."""
        fake = Fake(location="http://storage.internal/storage")
        await self.assert_cause(
            "storage: address",
            "storage.internal does not look like a host of the public internet",
            f"http://localhost:{self.listen(fake.answer)}",
            registry="redirects = follow",
            upstream=self.tinyproxy(),
        )


class SocketTests(WaysTestCase):
    """An upstream on a unix socket."""

    def setUp(self) -> None:
        super().setUp()
        # The name of a socket is short.
        self.path = Path(os.path.relpath(self.directory)).absolute() / "s"
        if len(str(self.path)) > 100:
            import tempfile

            directory = tempfile.mkdtemp()
            self.path = Path(directory) / "s"
            self.addCleanup(os.rmdir, directory)

    def serve(self) -> None:
        """Listen on it."""
        factory: Any = Factory.forProtocol(Script)
        factory.answer, factory.requests = Fake().answer, self.requests
        factory.noisy = False
        port = reactor.listenUNIX(str(self.path), factory, mode=0o600)
        self.addCleanup(port.stopListening)

    async def test_there(self) -> None:
        self.serve()
        await self.assert_ways(f"unix:{self.path}", "", "socket", "ping")

    async def test_missing(self) -> None:
        advice = await self.assert_cause(
            "socket", f"there is no socket {self.path}", f"unix:{self.path}"
        )
        self.assertIn("[upstream up] url", advice)

    async def test_nobody_listens(self) -> None:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.path))
        self.addCleanup(self.path.unlink)
        await self.assert_cause(
            "socket", "nobody listens on the socket", f"unix:{self.path}"
        )

    async def test_no_permission(self) -> None:
        self.serve()
        (self.directory / "regbroker.ini").write_text(
            "[registry localhost]\nupstream = up\nnamespaces = * = *\n"
            f"[upstream up]\nurl = unix:{self.path}\n"
        )
        config = load_config(self.directory / "regbroker.ini")
        self.path.chmod(0o000)
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
            self.addCleanup(os.seteuid, 0)
        (step,) = await examine(reactor, config, Request(only="upstream", timeout=10.0))
        assert step.trouble is not None
        self.assertIn("may not connect to", step.trouble.problem)
        self.assertIn("the user that regbroker runs as", step.trouble.advice)


class ClientCertificateTests(WaysTestCase):
    """Servers that want to know who regbroker is."""

    def options(self, pair: Pair) -> str:
        """The lines that name a certificate."""
        certificate, key = pair.write(self.directory, "client")
        return f"client-certificate = {certificate}\nclient-key = {key}"

    def asking(self) -> str:
        """The URL of a server that wants a certificate of the test's CA."""
        pair = issued("localhost")
        factory: Any = Factory.forProtocol(Script)
        factory.answer, factory.requests = Fake().answer, self.requests
        factory.noisy = False
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_privatekey(crypto.PKey.from_cryptography_key(pair.private()))
        context.use_certificate(crypto.X509.from_cryptography(pair.loaded()))
        store = context.get_cert_store()
        assert store is not None
        store.add_cert(crypto.X509.from_cryptography(authority().loaded()))
        context.set_session_id(b"doctor")
        context.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
            lambda connection, shown, error, depth, ok: bool(ok),
        )
        options: Any = ContextFactory()
        options.getContext = lambda: context
        port = reactor.listenSSL(0, factory, options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"https://localhost:{port.getHost().port}"

    async def test_shown(self) -> None:
        await self.assert_ways(
            self.asking(), self.options(issued("regbroker")), "DNS", "TCP", "TLS"
        )

    async def test_none(self) -> None:
        advice = await self.assert_cause(
            "ping", "wants a certificate of the client", self.asking()
        )
        self.assertIn("write [upstream up] client-certificate and client-key", advice)

    async def test_refused(self) -> None:
        advice = await self.assert_cause(
            "ping",
            "does not accept the certificate of regbroker: ",
            self.asking(),
            upstream=self.options(issued("regbroker", by="Unknown CA")),
        )
        self.assertIn("a CA that the server trusts", advice)

    async def test_changed_keys(self) -> None:
        """A key that is no longer the certificate's is told before anybody is asked."""
        client = issued("regbroker")
        path = self.directory / "regbroker.ini"
        path.write_text(
            "[registry localhost]\nupstream = up\nnamespaces = * = *\n"
            f"[upstream up]\nurl = {self.asking()}\n{self.options(client)}\n"
        )
        config = load_config(path)
        key = self.directory / "client.key"
        for data, words in (
            (issued("other").key, "the key does not belong to the certificate"),
            (issued("rsa", kind="rsa").key, ": it is RSA, and the certificate is for"),
            (pem_of(client.private(), b"secret"), "give one without passphrase: "),
            (None, "No such file or directory"),
        ):
            if data is None:
                key.unlink()
            else:
                key.write_bytes(data)
            request = Request(only="upstream", timeout=10.0)
            (step,) = await examine(reactor, config, request)
            assert step.trouble is not None
            self.assertEqual(step.name, "client-key")
            self.assertIn(words, step.trouble.problem)
            self.assertEqual(step.trouble.advice, "check [upstream up] client-key")
        self.assertEqual(self.requests, [])

    async def test_nginx(self) -> None:
        """nginx says both in HTTP."""
        require_programs("nginx")
        nginx = AskingNginx(
            self.directory / "nginx", self.listen(Fake().answer), Authority()
        )
        self.addCleanup(nginx.stop)
        nginx.start()
        # What is trusted is nginx's own authority.
        root = self.directory / "nginx.root.pem"
        self.ca_file = root
        url = nginx.url
        await self.assert_cause("ping", "it wants a certificate of the client", url)
        await self.assert_cause(
            "ping",
            "it does not accept the certificate of regbroker (400)",
            url,
            upstream=self.options(issued("regbroker")),
        )


class ListenerWaysTests(WaysTestCase):
    """Listeners that are no plain port."""

    def configure(self, listen: str, more: str = "") -> Path:
        """A configuration file for these listeners."""
        path = self.directory / "regbroker.ini"
        path.write_text(
            f"[regbroker]\nlisten = {listen}\nstate-directory = var\n{more}\n"
            "[registry localhost]\nupstream = box\nnamespaces = * = *\n"
            "[upstream box]\nurl = sandbox:\nusers = alice:wonderland\n"
        )
        return path

    async def examined(self, listen: str, more: str = "") -> list[Step]:
        """The steps with a listener on which regbroker runs."""
        config = self.served(self.configure(listen, more).read_text())
        return await examine(reactor, config, Request(timeout=10, only="clients"))

    async def assert_green(
        self, names: list[str], listen: str, more: str = ""
    ) -> list[Step]:
        """The steps are these, and all is well."""
        steps = await self.examined(listen, more)
        self.assertEqual([s for s in steps if s.trouble], [], list(lines(steps)))
        self.assertEqual([step.name for step in steps], names)
        return steps

    async def test_unix(self) -> None:
        path = os.path.relpath(self.directory / "u")
        await self.assert_green(["socket", "ping", "challenge"], f"unix:{path}")

    async def test_unix_tls(self) -> None:
        path = os.path.relpath(self.directory / "u")
        names = ["socket", "TLS", "ping", "challenge"]
        await self.assert_green(names, f"tls:unix:{path}")

    async def test_unix_missing(self) -> None:
        path = self.configure(f"unix:{os.path.relpath(self.directory / 'none')}")
        (step,) = await examine(
            reactor, load_config(path), Request(timeout=10, only="clients")
        )
        assert step.trouble is not None
        self.assertIn("there is no socket", step.trouble.problem)
        self.assertIn("[regbroker] listen", step.trouble.advice)

    async def test_proxy_lines(self) -> None:
        """A PROXY line comes first, TLS behind it."""
        trusted = "trusted-proxies = 127.0.0.1"
        where = "{port}:interface=127.0.0.1"
        names = ["TCP", "ping", "challenge"]
        await self.assert_green(names, f"proxy:tcp:{where}", trusted)
        names.insert(1, "TLS")
        await self.assert_green(names, f"proxy:tls:{where}", trusted)

    async def test_proxy_lines_of_others(self) -> None:
        """Where regbroker does not believe this machine, that is said."""
        where = "{port}:interface=127.0.0.1"
        (step,) = await self.assert_green(
            ["not examined"], f"proxy:tcp:{where}", "trusted-proxies = 192.0.2.1"
        )
        self.assertIn("trusted-proxies does not name it", step.seen)

    async def test_redirect(self) -> None:
        listen = "tls:0:interface=127.0.0.1\n  redirect:{port}:interface=127.0.0.1"
        names = ["not examined", "TCP", "redirect"]
        step = (await self.assert_green(names, listen))[-1]
        self.assertIn("308 https://localhost", step.seen)

    async def test_wants_certificate(self) -> None:
        """Where the certificate is the login, the ping is all that can be tried."""
        text = (
            "[regbroker]\nlisten = tls:{port}:interface=127.0.0.1\n"
            f"client-ca = {self.ca_file}\nstate-directory = var\n"
            "[registry localhost]\nupstream = box\nnamespaces = * = *\n"
            "accounts = certificate\naccess = all\n"
            "[access all]\nbob = **: pull\n[upstream box]\nurl = sandbox:\n"
        )
        config = self.served(text)
        steps = await examine(reactor, config, Request(timeout=10, only="clients"))
        self.assertEqual([s for s in steps if s.trouble], [], list(lines(steps)))
        self.assertEqual(
            [step.name for step in steps], ["TCP", "TLS", "ping", "not examined"]
        )
        self.assertIn("wants a client certificate", steps[-1].seen)

    async def test_public_url(self) -> None:
        """Tokens are asked for where the listener is, not where the balancer is."""
        fake = Fake()
        behind = self.listen(fake.answer)
        fake.realm = f"http://localhost:{behind}/token"
        text = (
            "[regbroker]\nlisten = tcp:{port}:interface=127.0.0.1\n"
            "[registry *]\npublic-url = https://registry.test\n"
            "upstream = up\nnamespaces = * = acme/*\n"
            f"[upstream up]\nurl = http://localhost:{behind}\n"
        )
        config = self.served(text)
        steps = await examine(
            reactor,
            config,
            Request(image="localhost/app:1.0", timeout=10, only="clients"),
        )
        self.assertEqual([s for s in steps if s.trouble], [], list(lines(steps)))
        self.assertEqual(steps[-1].name, "blob")

    async def test_systemd(self) -> None:
        """The address of an inherited socket is known while regbroker runs."""
        require_programs("systemd-socket-activate")
        # No other test's regbroker has a socket of this name.
        path = self.configure("systemd:domain=INET:name=doctor")
        port = self.closed_port()
        (step,) = await examine(
            reactor, load_config(path), Request(timeout=10, only="clients", file=path)
        )
        self.assertEqual((step.name, step.trouble), ("not examined", None))
        self.assertIn("no running regbroker that has it can be seen", step.seen)
        command = [sys.executable, "-m", "regbroker", "serve", "--config", str(path)]
        daemon = Daemon(
            activated(port, "doctor", command),
            self.directory / "log",
            base_environment(self.directory / "home"),
        )
        self.addCleanup(daemon.stop)
        daemon.wait_for("Listening on")
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.addCleanup(client.close)
        client.request("GET", "/v2/")
        self.assertEqual(client.getresponse().status, 421)
        steps = await examine(
            reactor, load_config(path), Request(timeout=10, only="clients", file=path)
        )
        self.assertEqual([s for s in steps if s.trouble], [], list(lines(steps)))
        self.assertEqual(steps[0].seen, f"127.0.0.1 port {port}")
        self.assertEqual([s.name for s in steps], ["TCP", "ping", "challenge"])
