"""Which token services are believed to be an upstream's own."""

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.origins import Origin, parse_origin
from regbroker.protocol.realms import (
    RealmRefused,
    allowed_realm,
    parse_realm,
    registrable_domain,
)
from tests.grammar import EXAMPLES, hostile


def origin(url: str) -> Origin:
    """The origin of a URL without a path."""
    scheme, _, authority = url.partition("://")
    found = parse_origin(scheme, authority)
    assert found is not None
    return found


class ParseTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Where to connect, and what to ask there."""
        for url, server, target in (
            ("https://auth.docker.io/token", "https://auth.docker.io", "/token"),
            ("HTTPS://AUTH.Docker.IO/Token", "https://auth.docker.io", "/Token"),
            ("https://a.example", "https://a.example", "/"),
            ("https://a.example?x=y", "https://a.example", "/?x=y"),
            (
                "https://a.example:5001/auth?x=%20&y",
                "https://a.example:5001",
                "/auth?x=%20&y",
            ),
            ("https://[::1]:5001/auth", "https://[::1]:5001", "/auth"),
            ("http://a.example/", "http://a.example", "/"),
        ):
            realm = parse_realm(url)
            self.assertEqual((str(realm.origin), realm.target), (server, target))
            self.assertEqual(parse_realm(str(realm)), realm)

    def test_bad(self) -> None:
        """What is no plain URL of HTTP is refused."""
        for url in (
            "",
            "/token",
            "//a.example/token",
            "a.example/token",
            "https:a.example",
            "https:/a.example",
            "https:///token",
            "https://",
            "ftp://a.example/",
            "file:///etc/passwd",
            "javascript://a.example/",
            "https://user@a.example/",
            "https://user:password@a.example/",
            "https://a.example:0/",
            "https://a.example:99999/",
            "https://a.example:x/",
            "https://a.example#fragment",
            "https://a.example/#fragment",
            "https://a.example\\/",
            "https://a example/",
            "https://ä.example/",
            " https://a.example/",
            "https://a.example/\n",
            "https://a.example/t\r\nX-Evil: 1",
            "https://a.example/t\0",
            "https://a.example/t oken",
            "https://a.example/\x7f",
            "https://a.example/ä",
            "https://a.example/\udce9",
        ):
            self.assertRaises(RealmRefused, parse_realm, url)

    @EXAMPLES
    @given(hostile)
    def test_anything(self, text: str) -> None:
        """What is believed to be a URL is one that cannot break a request."""
        for url in (
            "https://" + text,
            "https://a.example" + text,
            "https://a.example/" + text,
        ):
            try:
                realm = parse_realm(url)
            except RealmRefused:
                continue
            self.assertRegex(str(realm), r"\Ahttps://[a-z0-9._-]+(:\d+)?/[!-~]*\Z")


class AllowedTests(SynchronousTestCase):
    def allowed(
        self, upstream: str, *realms: str, token_hosts: tuple[str, ...] = ()
    ) -> None:
        for realm in realms:
            found = allowed_realm(realm, origin(upstream), token_hosts)
            self.assertEqual(found, parse_realm(realm))

    def refused(
        self, upstream: str, *realms: str, token_hosts: tuple[str, ...] = ()
    ) -> None:
        for realm in realms:
            try:
                found = allowed_realm(realm, origin(upstream), token_hosts)
            except RealmRefused:
                continue
            self.fail(f"{found} is allowed for {upstream}")

    def test_registries(self) -> None:
        """The token services of real registries work without being named."""
        for upstream, realm in (
            (
                "https://registry.cn-shenzhen.aliyuncs.com",
                "https://dockerauth.cn-hangzhou.aliyuncs.com/auth",
            ),
            (
                "https://acme-registry.cn-shenzhen.cr.aliyuncs.com",
                "https://dockerauth-ee.cn-shenzhen.aliyuncs.com/auth",
            ),
            ("https://registry-1.docker.io", "https://auth.docker.io/token"),
            ("https://quay.io", "https://quay.io/v2/auth"),
            ("https://ghcr.io", "https://ghcr.io/token"),
            ("https://us-docker.pkg.dev", "https://us-docker.pkg.dev/v2/token"),
            ("https://acme.azurecr.io", "https://acme.azurecr.io/oauth2/token"),
            ("https://harbor.example.com", "https://harbor.example.com/service/token"),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("https://registry.example.co.uk", "https://auth.example.co.uk/token"),
        ):
            self.allowed(upstream, realm)

    def test_own_host(self) -> None:
        """The own host is believed on any port, whatever kind of host it is."""
        for host in (
            "registry.example.com",
            "registry",
            "localhost",
            "10.0.0.5",
            "[::1]",
        ):
            self.allowed(
                f"https://{host}:5000",
                f"https://{host}/auth",
                f"https://{host}:5000/auth",
                f"https://{host}:5001/auth",
            )
        self.allowed(
            "https://Registry.Example.com", "https://REGISTRY.example.COM/auth"
        )

    def test_plain_http(self) -> None:
        """Plain http only where the upstream is plain itself, on its own host."""
        self.allowed(
            "http://10.0.0.5:5000", "http://10.0.0.5:5001/auth", "https://10.0.0.5/auth"
        )
        self.refused("https://10.0.0.5:5000", "http://10.0.0.5:5000/auth")
        self.refused("https://registry.example.com", "http://registry.example.com/auth")
        for hosts in ((), ("auth.example.com",)):
            self.refused(
                "http://registry.example.com",
                "http://auth.example.com/auth",
                token_hosts=hosts,
            )
        self.allowed("http://registry.example.com", "https://auth.example.com/auth")

    def test_lookalikes(self) -> None:
        """Hosts that only look like the upstream's."""
        self.refused(
            "https://registry-1.docker.io",
            "https://evil.example/token",
            "https://docker.io.evil.com/token",
            "https://auth.docker.io.evil.com/token",
            "https://evil-docker.io/token",
            "https://dockerxio/token",
            "https://docker.io@evil.example/",
            "https://docker.io:x@evil.example/",
            "https://docker.io\\@evil.example/",
            "https://evil.example\\.docker.io/",
            "https://evil.example/.docker.io",
            "https://evil.example?.docker.io",
            "https://evil.example#.docker.io",
            "https://evil.example%2f.docker.io/",
            "https://evil.example\0.docker.io/",
            "https://evil.example\n.docker.io/",
            "https://evil.example\t.docker.io/",
            "https://evil.example/\r\nHost: auth.docker.io",
            "https://[auth.docker.io]/",
            "https://docker.io.evil.com./",
            "https://evil.com./",
            "https://DOCKER.IO.EVIL.COM/",
            "https://xn--dcker-jua.io/token",
            "https://d\u043ecker.io/token",
            "https://auth.docker\uff0eio/token",
            "https://io/token",
            "https://.docker.io.evil.com/",
        )

    def test_addresses(self) -> None:
        """No address is in anybody's domain, least of all one in here."""
        for upstream in (
            "https://registry-1.docker.io",
            "https://10.0.0.5",
            "https://localhost",
            "https://[::1]",
        ):
            self.refused(
                upstream,
                "https://127.0.0.1/",
                "https://10.0.0.6/",
                "https://110.0.0.5/",
                "https://169.254.169.254/latest/meta-data",
                "https://[::]/",
                "https://[::ffff:10.0.0.5]/",
                "https://[fe80::1]/",
                "https://2130706433/",
                "https://0x7f000001/",
                "https://127.1/",
                "https://5/",
            )

    def test_single_labels(self) -> None:
        """A host without a dot is only itself."""
        self.refused(
            "https://registry.example.com",
            "https://localhost/",
            "https://auth/",
            "https://com/",
        )
        self.refused(
            "https://registry", "https://auth/", "https://registry.example.com/"
        )
        self.refused(
            "https://localhost",
            "https://localhost.localdomain/",
            "https://evil.localhost/",
        )

    def test_shared_domains(self) -> None:
        """Neighbours under a suffix that is everybody's are strangers."""
        for upstream, realm in (
            ("https://one.github.io", "https://two.github.io/"),
            ("https://one.co.uk", "https://two.co.uk/"),
            ("https://one.herokuapp.com", "https://two.herokuapp.com/"),
            ("https://github.io", "https://one.github.io/"),
            ("https://one.github.io", "https://github.io/"),
            ("https://co.uk", "https://one.co.uk/"),
            ("https://a.internal", "https://b.internal/"),
        ):
            self.refused(upstream, realm)
        self.allowed("https://registry.corp.internal", "https://auth.corp.internal/")

    def test_token_hosts(self) -> None:
        """A host that the configuration names is believed, and no other."""
        hosts = ("auth.other.example", "10.0.0.9")
        self.allowed(
            "https://registry.example.com",
            "https://auth.other.example/token",
            "https://AUTH.other.example:8443/token",
            "https://10.0.0.9/token",
            token_hosts=hosts,
        )
        self.refused(
            "https://registry.example.com",
            "https://x.auth.other.example/token",
            "https://other.example/token",
            "https://auth.other.example.evil/token",
            "https://auth.other.example@evil/token",
            "https://10.0.0.99/token",
            token_hosts=hosts,
        )

    def test_told(self) -> None:
        """The operator is told what to write if it is right after all."""
        error = self.assertRaises(
            RealmRefused,
            allowed_realm,
            "https://auth.other.example/token",
            origin("https://registry.example.com"),
            (),
        )
        self.assertIn("token-hosts = auth.other.example", str(error))
        self.assertIn("registry.example.com", str(error))


class RegistrableDomainTests(SynchronousTestCase):
    def test_domains(self) -> None:
        """One label below what registries of names hand out."""
        for host, domain in (
            ("registry.cn-shenzhen.aliyuncs.com", "aliyuncs.com"),
            ("registry-1.docker.io", "docker.io"),
            ("docker.io", "docker.io"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("one.github.io", "one.github.io"),
            ("github.io", None),
            ("co.uk", None),
            ("com", None),
            ("localhost", None),
            ("10.0.0.5", None),
            ("::1", None),
        ):
            self.assertEqual(registrable_domain(host), domain, host)
