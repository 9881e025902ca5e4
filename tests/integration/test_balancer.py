"""Behind a load balancer that ends TLS: plain HTTP, headers and PROXY lines."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

from .accounts_case import PASSWORDS, SOON_SECONDS, WRONG, AccountsTestCase
from .peers.balancer import Balancer
from .peers.haproxy import Haproxy
from .peers.https_client import BalancerClient, Reply, basic, bearer
from .peers.processes import client_environment, poll, require_programs, run
from .peers.regbroker import Regbroker

PUBLIC = "registry.example.com"
TAGS = "/v2/team/app/tags/list"
CLIENT = "203.0.113.7"
TRUSTED, UNTRUSTED = "127.0.0.1", "127.0.0.9"
CLIENT_OF_HAPROXY = "127.0.0.7"

V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def proxy_v1(client: str) -> bytes:
    """A PROXY line, version 1."""
    return f"PROXY TCP4 {client} 192.0.2.1 56324 443\r\n".encode()


def proxy_v2(client: str) -> bytes:
    """A PROXY header, version 2: the PROXY command over TCP and IPv4."""
    addresses = socket.inet_aton(client) + socket.inet_aton("192.0.2.1")
    block = addresses + struct.pack("!HH", 56324, 443)
    return V2_SIGNATURE + b"\x21\x11" + struct.pack("!H", len(block)) + block


class BalancerTestCase(AccountsTestCase):
    """regbroker on a listener for a balancer, and a client that stands for one."""

    listen = "tcp:0:interface=127.0.0.1"
    registry_options = f"public-url = https://{PUBLIC}"
    registry_section = "[registry *]"
    main = f"trusted-proxies = {TRUSTED}"

    def prepare(self) -> None:
        """Do what comes before regbroker's configuration."""

    def setUp(self) -> None:
        super().setUp()
        self.prepare()
        self.start_registry()
        self.image = self.make_image()
        self.put_upstream(self.image, "acme_team/app:1")
        sections = self.sections(registry=self.registry_options)
        self.regbroker = Regbroker(
            self.directory / "regbroker",
            self.authority,
            sections.replace("[registry localhost]", self.registry_section),
            listen=self.listen,
            main=self.main,
        )
        self.addCleanup(self.assert_nothing_secret_logged, self.regbroker)
        self.addCleanup(self.regbroker.stop)
        self.regbroker.start()
        self.balancer = self.at(TRUSTED)

    def at(self, address: str) -> BalancerClient:
        """A client that connects from an address."""
        return BalancerClient(
            self.regbroker.port, self.root_pem, self.transcript, address
        )

    def get(self, target: str, **headers: str) -> Reply:
        """Ask as the balancer does for its client."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.balancer.request("GET", target, {"Host": PUBLIC} | given)

    def line_of(self, marker: str) -> str:
        """The log's line of a request."""
        found: list[str] = []

        def look() -> bool:
            lines = self.regbroker.log().splitlines()
            found[:] = [line for line in lines if f"path={marker}" in line]
            return bool(found)

        poll(look, f"{marker} in the log", SOON_SECONDS)
        return found[-1]

    def client_of(self, marker: str) -> str:
        """The client's address in the log's line of a request."""
        return self.line_of(marker).partition("client=")[2].split()[0]


class PublicUrlTests(BalancerTestCase):
    """`public-url`: realm and Locations are right whatever the hop in front says."""

    def test_realm(self) -> None:
        """It is the public one, whatever Host and X-Forwarded-* say."""
        for headers in (
            {},
            {"Host": f"127.0.0.1:{self.regbroker.port}"},
            {"Host": "10.1.2.3"},
            {"X_Forwarded_Proto": "http", "X_Forwarded_Host": "inside.example"},
            {"X_Forwarded_Proto": "https"},
        ):
            for target in ("/v2/", TAGS):
                reply = self.get(target, **headers)
                self.assert_oci_error(reply, 401, "UNAUTHORIZED")
                challenge = reply.challenge()
                self.assertEqual(challenge["realm"], f"https://{PUBLIC}/auth")
                self.assertEqual(challenge["service"], PUBLIC)

    def test_way_of_a_push(self) -> None:
        """Token, upload, Location: nothing leads inside or to http."""
        alice = self.as_user("alice")
        token = self.get(
            "/auth?scope=repository:team/app:pull,push",
            Authorization=alice["Authorization"],
        ).json()["token"]
        self.add_secret(token)
        header = {"Host": PUBLIC} | bearer(token)
        for host in (PUBLIC, "10.1.2.3:5000"):
            given = header | {"Host": host, "X-Forwarded-Proto": "http"}
            upload = self.balancer.request("POST", "/v2/team/app/blobs/uploads/", given)
            self.assertEqual(upload.status, 202, upload)
            location = upload.one("Location")
            self.assertRegex(
                location, rf"^(https://{PUBLIC})?/v2/team/app/blobs/uploads/"
            )
            self.assertNotIn("5000", location)
            gone = self.balancer.request("DELETE", upload.location(), header)
            self.assertEqual(gone.status, 204, gone)

    def test_same_token_by_every_way(self) -> None:
        """The audience is the public name: a token is good whatever Host says."""
        password = self.as_user("bob")["Authorization"]
        scope = "repository:team/app:pull"
        token = self.get(f"/auth?scope={scope}", Authorization=password).json()["token"]
        self.add_secret(token)
        reply = self.balancer.request("GET", TAGS, {"Host": "10.1.2.3"} | bearer(token))
        self.assertEqual(reply.status, 200, reply)

    def test_version_header(self) -> None:
        """Docker-Distribution-Api-Version is on everything, and once."""
        bob = self.as_user("bob")["Authorization"]
        wrong = basic("bob", WRONG)
        for method, target, headers, status in (
            ("GET", "/v2/", {}, 401),
            ("GET", "/v2/", {"Authorization": bob}, 200),
            ("GET", "/v2", {"Authorization": bob}, 200),
            ("GET", TAGS, {"Authorization": bob}, 200),
            ("HEAD", "/v2/", {}, 401),
            ("GET", TAGS, {"Authorization": wrong}, 401),
            ("GET", "/v2/team/none/tags/list", {"Authorization": bob}, 404),
            ("GET", "/v2/elsewhere/app/tags/list", {}, 404),
            ("POST", "/v2/team/app/blobs/uploads/", {"Authorization": bob}, 403),
            ("GET", "/v2/_catalog", {"Authorization": bob}, 403),
            ("GET", "/v2/team/UPPER/tags/list", {}, 400),
            ("PATCH", "/v2/", {}, 405),
            ("GET", "/", {}, 404),
            ("GET", "/v1/_ping", {}, 404),
            ("GET", "/auth", {"Authorization": wrong}, 401),
            ("GET", "/auth", {"Authorization": bob}, 200),
            ("PUT", "/auth", {}, 405),
            ("GET", "/v2/", {"User-Agent": "docker/1.5.0"}, 404),
        ):
            given = {"Host": PUBLIC} | headers
            reply = self.balancer.request(method, target, given)
            self.assertEqual(reply.status, status, (method, target, reply))
            version = reply.one("Docker-Distribution-Api-Version")
            self.assertEqual(version, "registry/2.0", (method, target))
            if status >= 400 and method != "HEAD":
                self.assertEqual(len(reply.error_codes()), 1, (method, target))

    def test_old_clients(self) -> None:
        """docker before 1.6 is told that there is nothing; others are served."""
        old = [
            "docker/1.5.0",
            "docker/1.5.0 go/go1.3.3 git-commit/a8a31ef kernel/3.13 os/linux",
            "docker/1.3.2 go/go1.3.3",
            "Go 1.1 package http",
        ]
        new = [
            *("docker/1.6.0", "docker/1.10.3 go/go1.5.3", "docker/1.13.1"),
            *("docker/24.0.7 go/go1.20.10", "docker/5.0", "Go-http-client/1.1"),
            *("Go-http-client/2.0", "containerd/v1.7.2", "skopeo/1.13 go docker/1.5.0"),
            *("docker/1.5.1-dev", "", "curl/8.5.0"),
        ]
        bob = self.as_user("bob")["Authorization"]
        for agent in old:
            for target in ("/v2/", TAGS, "/auth"):
                reply = self.get(target, User_Agent=agent, Authorization=bob)
                self.assert_oci_error(reply, 404, "UNSUPPORTED")
                self.assertEqual(reply.all("WWW-Authenticate"), [])
        for agent in new:
            reply = self.get("/v2/", User_Agent=agent)
            self.assertEqual(reply.status, 401, agent)


class ForwardedTests(BalancerTestCase):
    """Without `public-url`: X-Forwarded-*, from trusted proxies alone."""

    registry_options = ""

    def claims(self, host: str = PUBLIC) -> dict[str, str]:
        """What a balancer says of its client."""
        return {
            "X_Forwarded_For": f"198.51.100.3, {CLIENT}",
            "X_Forwarded_Proto": "https",
            "X_Forwarded_Host": host,
            "Host": "inside.example:8080",
        }

    def test_trusted(self) -> None:
        """Address, scheme and host are the client's."""
        reply = self.get("/v2/trusted/x/tags/list", **self.claims())
        self.assertEqual(reply.status, 404)
        self.assertEqual(self.client_of("/v2/trusted/x/tags/list"), CLIENT)
        challenge = self.get("/v2/", **self.claims()).challenge()
        self.assertEqual(challenge["realm"], f"https://{PUBLIC}/auth")

    def test_untrusted(self) -> None:
        """Anybody else says what he likes, and is who he is."""
        self.balancer = self.at(UNTRUSTED)
        self.get("/v2/untrusted/x/tags/list", **self.claims())
        self.assertEqual(self.client_of("/v2/untrusted/x/tags/list"), UNTRUSTED)
        challenge = self.get("/v2/", **self.claims()).challenge()
        self.assertEqual(challenge["realm"], "http://inside.example:8080/auth")
        self.assertEqual(challenge["service"], "inside.example:8080")

    def test_wrong_passwords_by_address(self) -> None:
        """Who guesses is slowed by the address that the balancer tells.

        Nobody else behind the same balancer is.
        """
        wrong = self.as_user("alice", WRONG)["Authorization"]
        guesser = self.claims() | {"X_Forwarded_For": CLIENT, "Authorization": wrong}
        with ThreadPoolExecutor(20) as pool:
            futures = [pool.submit(self.get, "/auth", **guesser) for _ in range(40)]
            statuses = {future.result().status for future in futures}
        self.assertEqual(statuses, {401, 429})
        right = self.as_user("alice")["Authorization"]
        other = self.claims() | {
            "X_Forwarded_For": "203.0.113.99",
            "Authorization": right,
        }
        self.assertEqual(self.get("/auth", **other).status, 200)
        # made up by the client, and passed on by the balancer before its own
        spoofed = guesser | {"X_Forwarded_For": f"203.0.113.50, {CLIENT}"}
        self.assertEqual(self.get("/auth", **spoofed).status, 429)


class ProxyLineTests(BalancerTestCase):
    """`proxy:tcp:`: the client's address comes before everything."""

    listen = "proxy:tcp:0:interface=127.0.0.1"

    def ask(self, address: str, preamble: bytes, marker: str, **headers: str) -> Reply:
        """Send a request with a PROXY line before it."""
        self.balancer = self.at(address)
        self.balancer.preamble = preamble
        return self.get(f"/v2/team/{marker}/tags/list", **headers)

    def assert_hung_up(self, address: str, preamble: bytes, marker: str) -> None:
        """The connection is closed without a reply, and nothing was served."""
        with self.assertRaises((http.client.HTTPException, OSError)):
            self.ask(address, preamble, marker)
        self.ask(TRUSTED, proxy_v1(CLIENT), "after")
        self.line_of("/v2/team/after/tags/list")
        self.assertNotIn(f"/v2/team/{marker}/", self.regbroker.log())

    def test_trusted(self) -> None:
        """Both versions: what the line says is the client's address."""
        for make, marker in ((proxy_v1, "one"), (proxy_v2, "two")):
            reply = self.ask(TRUSTED, make(CLIENT), marker)
            self.assert_oci_error(reply, 401, "UNAUTHORIZED")
            realm = reply.challenge()["realm"]
            self.assertEqual(realm, f"https://{PUBLIC}/auth")
            self.assertEqual(self.client_of(f"/v2/team/{marker}/tags/list"), CLIENT)

    def test_whole_pull(self) -> None:
        """Requests after the line are as any others."""
        self.balancer.preamble = proxy_v2(CLIENT)
        bob = self.as_user("bob")["Authorization"]
        self.assertEqual(self.get(TAGS, Authorization=bob).json()["tags"], ["1"])

    def test_untrusted(self) -> None:
        """Whoever is no trusted proxy is hung up on, whatever he says."""
        self.assert_hung_up(UNTRUSTED, proxy_v1(CLIENT), "one")
        self.assert_hung_up(UNTRUSTED, proxy_v2(CLIENT), "two")
        self.assert_hung_up(UNTRUSTED, b"", "none")

        def lines() -> list[str]:
            log = self.regbroker.log().splitlines()
            return [line for line in log if f"client={UNTRUSTED} " in line]

        # The log may be a little late.
        poll(lambda: len(lines()) >= 3, "three lines in the log", SOON_SECONDS)
        self.assertEqual(len(lines()), 3)
        for line in lines():
            self.assertIn("not in trusted-proxies", line)

    def test_without_a_line(self) -> None:
        """A trusted proxy that sends none is set up wrongly: nothing is served."""
        self.assert_hung_up(TRUSTED, b"", "none")
        self.assert_hung_up(TRUSTED, b"PROXY nonsense\r\n", "nonsense")

    def test_headers_are_not_believed(self) -> None:
        """X-Forwarded-For comes from the client then, who is not trusted."""
        claims = {"X_Forwarded_For": "198.51.100.3", "X_Forwarded_Proto": "http"}
        self.ask(TRUSTED, proxy_v1(CLIENT), "claims", **claims)
        self.assertEqual(self.client_of("/v2/team/claims/tags/list"), CLIENT)

    def test_other_clients(self) -> None:
        """One that is unknown to the balancer, and one of IPv6."""
        unknown = b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n"
        self.ask(TRUSTED, unknown, "unknown")
        self.assertEqual(self.client_of("/v2/team/unknown/tags/list"), TRUSTED)
        self.ask(TRUSTED, b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n", "six")
        self.assertEqual(self.client_of("/v2/team/six/tags/list"), "2001:db8::7")


class HaproxyTests(BalancerTestCase):
    """haproxy in front, with lines of both versions and checks of its own."""

    listen = "proxy:tls:0:interface=127.0.0.1"

    def test_versions(self) -> None:
        """The client of haproxy is the client; nothing of haproxy's is malformed."""
        for version in (1, 2):
            front = Haproxy(
                self.directory / f"haproxy{version}", self.regbroker.port, version
            )
            self.addCleanup(front.stop)
            front.start()
            # From another address, which haproxy's own connections do not have.
            self.balancer = BalancerClient(
                front.port, self.root_pem, self.transcript, CLIENT_OF_HAPROXY
            )
            self.balancer.tls = True
            marker = f"/v2/team/haproxy{version}/tags/list"

            def serves(marker: str = marker) -> bool:
                # Until its first check is over it takes regbroker for down.
                try:
                    return self.get(marker).status == 401
                except (http.client.HTTPException, OSError):
                    return False

            poll(serves, f"regbroker behind haproxy, version {version}")
            self.assertEqual(self.client_of(marker), CLIENT_OF_HAPROXY)
        log = self.regbroker.log()
        self.assertNotIn("malformed", log)
        self.assertNotIn("not in trusted-proxies", log)


class HaproxyHttp2Tests(BalancerTestCase):
    """haproxy in front ends HTTP/2."""

    def test_no_end_of_stream(self) -> None:
        """What does not end with its headers comes in chunks, and is served."""
        front = Haproxy(self.directory / "haproxy", self.regbroker.port)
        self.addCleanup(front.stop)
        front.start()
        require_programs("curl")
        url = f"http://127.0.0.1:{front.port}{TAGS}"
        done = run(
            [
                *("curl", "--silent", "--show-error", "--fail-with-body"),
                *("--http2-prior-knowledge", "--user", f"bob:{PASSWORDS['bob']}"),
                *("--request", "GET", "--upload-file", "-", url),
            ],
            client_environment(self.directory / "curl"),
        )
        self.assert_done(done)
        self.assertEqual(json.loads(done.stdout)["tags"], ["1"])


class ProxyLineOverTlsTests(ProxyLineTests):
    """`proxy:tls:`: the line stands before the handshake."""

    listen = "proxy:tls:0:interface=127.0.0.1"

    def at(self, address: str) -> BalancerClient:
        client = super().at(address)
        client.tls = True
        return client


class ClientTests(BalancerTestCase):
    """Real clients through a hop that ends TLS and passes bytes on."""

    proxy_line = False

    def prepare(self) -> None:
        self.hop = Balancer(self.authority, proxy_line=self.proxy_line)
        self.addCleanup(self.hop.stop)
        self.registry_options = f"public-url = https://{self.hop.host}"

    def setUp(self) -> None:
        super().setUp()
        self.hop.target = self.regbroker.port
        self.host = self.hop.host

    def test_skopeo(self) -> None:
        """Push and pull: every Location and the realm lead back through the hop."""
        image, skopeo = self.make_image("another"), self.make_skopeo()
        self.log_in(skopeo, "alice")
        reference = f"{self.host}/team/app:2"
        self.assert_done(skopeo.push(image.source, reference))
        self.assertEqual(skopeo.digest_of(reference), image.digest)
        self.assertIn("client=127.0.0.1", self.line_of("/v2/team/app/manifests/2"))

    def test_containerd(self) -> None:
        """The same with a client that drops its credentials on another scheme."""
        containerd = self.start_containerd()
        containerd.trust(self.host)
        name = self.import_image(containerd, self.make_image("another"))
        alice = "--user", f"alice:{PASSWORDS['alice']}"
        reference = f"{self.host}/team/app:2"
        self.assert_done(containerd.push(reference, name, *alice))
        self.assert_done(containerd.pull(reference, *alice))


class ClientProxyLineTests(ClientTests):
    """The same with a PROXY line before each connection."""

    listen = "proxy:tcp:0:interface=127.0.0.1"
    proxy_line = True
