"""How an upstream's section says that its servers are reached."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.origins import Origin
from regbroker.settings.config import UpstreamConfig
from regbroker.transport.client.way_out import Proxy
from regbroker.upstream.dialling import (
    parse_credentials,
    problems_with_way,
    trust_of,
    unused_proxies,
)
from tests.certificates import issued

HTTPS = Origin("https", "registry.test", 443)
HTTP = Origin("http", "registry.test", 5000)
PROXY = Origin("http", "proxy.test", 3128)


def config(**options: Any) -> UpstreamConfig:
    """A section with these options."""
    return UpstreamConfig(name="up", origin=HTTPS, **options)


class ProxyTests(SynchronousTestCase):
    def proxy(
        self, entry: UpstreamConfig, origin: Origin, **environment: str
    ) -> Proxy | None:
        """The proxy for a server."""
        return trust_of(entry, lambda: 0.0, environment)._way.proxy_for(origin)

    def problems(
        self, entry: UpstreamConfig, environment: Mapping[str, str]
    ) -> list[str]:
        """What is wrong."""
        return list(problems_with_way(entry, environment))

    def test_named(self) -> None:
        """A named proxy is for https and for http, whatever the environment says."""
        for origin in (HTTPS, HTTP):
            proxy = self.proxy(config(proxy=PROXY), origin, NO_PROXY="*")
            assert proxy is not None
            self.assertEqual((proxy.origin, proxy.credentials()), (PROXY, b""))

    def test_credentials_file(self) -> None:
        """The credentials are in a file, which is read again when it changes."""
        path = Path(self.mktemp())
        path.write_text("user:pass:word\n")
        path.chmod(0o600)
        now = [0.0]
        entry = config(proxy=PROXY, proxy_credentials_file=path)
        proxy = trust_of(entry, lambda: now[0], {})._way.proxy_for(HTTPS)
        assert proxy is not None
        self.assertEqual(b64decode(proxy.credentials()[6:]), b"user:pass:word")
        path.write_text("user:other-word\n")
        for _ in range(9):
            now[0] += 1
            proxy.credentials()
        self.assertEqual(b64decode(proxy.credentials()[6:]), b"user:other-word")

    def test_wrong_credentials(self) -> None:
        """What is no user and password is told without a word of it."""
        for contents in (b"", b"secret", b"a:b\nc:d\n", b"a:\x00"):
            error = self.assertRaises(ValueError, parse_credentials, contents)
            self.assertEqual(str(error), "write USER:PASSWORD, on one line")
        path = Path(self.mktemp())
        path.write_text("secret")
        entry = config(proxy=PROXY, proxy_credentials_file=path)
        (problem,) = self.problems(entry, {})
        self.assertIn("proxy-credentials-file: ", problem)
        self.assertNotIn("secret", problem)
        self.assertRaises(ValueError, trust_of, entry, lambda: 0.0, {})

    def test_environment(self) -> None:
        """Where it is asked for, capitals before small letters."""
        entry = config(proxy="environment")
        environment = {
            "HTTPS_PROXY": "http://us%40er:p%3Aw@proxy.test:3128/",
            "https_proxy": "http://other.test:1",
            "http_proxy": "plain.test:8080",
            "no_proxy": ".inside.test",
        }
        proxy = self.proxy(entry, HTTPS, **environment)
        assert proxy is not None
        self.assertEqual(proxy.origin, PROXY)
        self.assertEqual(b64decode(proxy.credentials()[6:]), b"us@er:p:w")
        proxy = self.proxy(entry, HTTP, **environment)
        assert proxy is not None
        self.assertEqual(proxy.origin, Origin("http", "plain.test", 8080))
        inside = Origin("https", "a.inside.test", 443)
        self.assertIsNone(self.proxy(entry, inside, **environment))
        self.assertIsNone(self.proxy(entry, HTTPS))

    def test_wrong_environment(self) -> None:
        """A variable that is no HTTP proxy is named, and not shown."""
        entry = config(proxy="environment")
        for value in ("socks5://u:secret@x", "http://u:secret@x/path", "http://[x"):
            (problem,) = self.problems(entry, {"https_proxy": value})
            self.assertIn("proxy: HTTPS_PROXY in the environment is not", problem)
            self.assertNotIn("secret", problem)
            self.assertEqual(self.problems(config(), {"https_proxy": value}), [])

    def test_not_asked_for(self) -> None:
        """The environment counts for nobody else, and is named."""
        self.assertIsNone(self.proxy(config(), HTTPS, HTTPS_PROXY="http://x.test:1"))
        variables = {"https_proxy": "http://u:secret@x.test:1"}
        note = unused_proxies([config()], variables)
        assert note is not None
        self.assertIn("HTTPS_PROXY in the environment: not used for", note)
        self.assertNotIn("secret", note)
        others = unused_proxies([config(), config()], variables)
        self.assertIn("and others", str(others))

    def test_no_note(self) -> None:
        """Nothing is said where nothing is set, or all is said already."""
        variables = {"HTTPS_PROXY": "http://x.test:1"}
        sandbox = UpstreamConfig(name="s", origin=None)
        local = config(socket=Path("/s"))
        for entry in (config(proxy="environment"), config(proxy=PROXY), sandbox, local):
            self.assertIsNone(unused_proxies([entry], variables))
        self.assertIsNone(unused_proxies([config()], {"NO_PROXY": "*"}))


class IdentityTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.certificate, self.key = issued("client").write(directory, "client")
        self.other = issued("other").write(directory, "other")[1]

    def test_good(self) -> None:
        """A pair that fits is no problem."""
        entry = config(client_certificate=self.certificate, client_key=self.key)
        self.assertEqual(list(problems_with_way(entry, {})), [])
        trust_of(entry, lambda: 0.0, {})

    def test_wrong_key(self) -> None:
        """A key of another certificate is the key's problem."""
        entry = config(client_certificate=self.certificate, client_key=self.other)
        (problem,) = problems_with_way(entry, {})
        self.assertTrue(problem.startswith(f"client-key: {self.other}: "), problem)
        error = self.assertRaises(ValueError, trust_of, entry, lambda: 0.0, {})
        self.assertEqual(str(error), problem)

    def test_no_certificate(self) -> None:
        """A file without a certificate is the certificate's problem."""
        entry = config(client_certificate=self.key, client_key=self.key)
        (problem,) = problems_with_way(entry, {})
        self.assertTrue(problem.startswith("client-certificate: "), problem)

    def test_missing(self) -> None:
        """A file that is not there, too."""
        entry = config(client_certificate=Path("/none"), client_key=self.key)
        (problem,) = problems_with_way(entry, {})
        self.assertIn("client-certificate: /none: ", problem)

    def test_missing_key(self) -> None:
        """A key that is not there is the key's problem."""
        entry = config(client_certificate=self.certificate, client_key=Path("/none"))
        (problem,) = problems_with_way(entry, {})
        self.assertEqual(problem, "client-key: /none: No such file or directory")
