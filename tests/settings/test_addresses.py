"""What options may say of hosts, URLs and paths; the rest is in `test_ini`."""

from ipaddress import ip_network
from pathlib import PurePath

from regbroker.protocol.origins import Origin
from regbroker.settings.addresses import (
    cors_origins,
    credential_server,
    networks,
    path_prefixes,
    proxy,
    public_url,
    realm,
    search_url,
    server_url,
    upstream_url,
)
from regbroker.settings.invalid import InvalidValue
from tests.settings.test_values import ValueCase


class AddressTests(ValueCase):
    def test_public_url(self) -> None:
        """A scheme and a host, and perhaps a port."""
        for text, netloc in {
            "https://registry.test": "registry.test",
            "https://registry.test:5000/": "registry.test:5000",
            "http://[::1]:8080": "[::1]:8080",
        }.items():
            origin = public_url(text)
            self.assertEqual(origin.netloc, netloc)
            self.assertEqual(origin.scheme, text.partition(":")[0])
        self.assert_refused(
            public_url, "registry.test", "https://registry.test/v2", "ftp://x", ""
        )

    def test_upstream_url(self) -> None:
        """A server, a unix socket, or the sandbox."""
        self.assertEqual(
            upstream_url("https://a.test:5000/x/v2/"),
            (Origin("https", "a.test", 5000), "/x", None),
        )
        self.assertEqual(
            upstream_url("unix:/run/registry.sock"),
            (Origin("http", "localhost", 80), "", PurePath("/run/registry.sock")),
        )
        self.assertEqual(upstream_url("sandbox:"), (None, "", None))
        with self.assertRaisesRegex(InvalidValue, "write sandbox: with a colon"):
            upstream_url("sandbox")
        self.assert_refused(
            upstream_url, "unix:", "unix:run/s", "unix://run/s", "unix:/" + 107 * "a"
        )

    def test_hosts_of_urls(self) -> None:
        """No name server knows a host with an empty label, or with a hyphen first."""
        for text in ("https://a..test", "https://-a.test", f"https://{'a' * 64}.test"):
            self.assertIsNone(server_url(text), text)
            self.assert_refused(realm, text)
            self.assert_refused(public_url, text)
            self.assert_refused(search_url, text)
        self.assert_refused(proxy, "http://a..test:3128")
        for text in ("https://a_b.test", "https://a.test.", "https://[::1]:5000/x"):
            self.assertIsNotNone(server_url(text), text)

    def test_proxy(self) -> None:
        """A server of HTTP, without a user and a path; or the environment's."""
        self.assertEqual(proxy("environment"), "environment")
        for text in ("http://proxy.test:3128", "http://proxy.test:3128/"):
            self.assertEqual(proxy(text), Origin("http", "proxy.test", 3128))
        self.assert_refused(
            proxy, "", "proxy.test:3128", "https://proxy.test", "socks5://proxy.test:1"
        )
        for text in ("https://proxy.test", "HTTPS://proxy.test", "socks5://a:1"):
            with self.assertRaisesRegex(InvalidValue, "not supported .* http://HOST"):
                proxy(text)
        with self.assertRaisesRegex(InvalidValue, "proxy-credentials-file") as caught:
            proxy("http://user:secret@proxy.test:3128")
        self.assertNotIn("secret", str(caught.exception))

    def test_networks(self) -> None:
        """Addresses, networks, and the word for unix sockets."""
        self.assertEqual(
            networks("unix, 10.0.0.0/8 ::1"),
            ("unix", ip_network("10.0.0.0/8"), ip_network("::1")),
        )
        self.assert_refused(networks, "localhost", "unix:", "10.0.0.1/8")
        for word, meant in (
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("[2001:db8::]/32", "2001:db8::/32"),
        ):
            with self.assertRaisesRegex(InvalidValue, f"; write {meant}$"):
                networks(word)

    def test_search_url(self) -> None:
        """The URL before /search, with /v1 or without."""
        for text in ("https://a.test", "https://a.test/v1", "https://a.test:443/v1/"):
            self.assertEqual(search_url(text), "https://a.test/v1")
        self.assertEqual(
            search_url("http://a.test/search/x"), "http://a.test/search/x/v1"
        )
        self.assert_refused(search_url, "a.test", "https://a.test/?q=", "")
        for text, right in (
            ("https://a.test/v1/search", "https://a.test/v1"),
            ("https://a.test/v1/search/", "https://a.test/v1"),
            ("https://a.test/search", "https://a.test"),
        ):
            error = self.assertRaises(InvalidValue, search_url, text)
            self.assertEqual(str(error), f"write it without /search: {right}")

    def test_path_prefixes(self) -> None:
        """Beginnings of paths outside the API, whole segments."""
        for text, prefixes in (
            ("", ()),
            ("/downloads/", ("/downloads/",)),
            ("/a/b/, /c.d/\n /e/", ("/a/b/", "/c.d/", "/e/")),
        ):
            self.assertEqual(path_prefixes(text), prefixes)
        self.assert_refused(
            path_prefixes, "/", "downloads/", "/downloads", "/v2/", "/x/../", "/a/ /v2/"
        )

    def test_cors_origins(self) -> None:
        """Origins as browsers write them, or all."""
        for text, origins in (
            ("https://ui.test", ("https://ui.test",)),
            (
                "https://UI.test:443, http://a.test:80\n    http://[::1]:8080",
                ("https://ui.test", "http://a.test", "http://[::1]:8080"),
            ),
            ("*", ("*",)),
            ("", ()),
        ):
            self.assertEqual(cors_origins(text), origins)
        self.assert_refused(
            cors_origins,
            "null",
            "ui.test",
            "https://ui.test/",
            "https://*.test",
            "* https://ui.test",
            "ftp://ui.test",
        )

    def test_credential_server(self) -> None:
        """A host, or a URL, of which nothing is secret: the log names it."""
        for text in (
            "registry.example.net",
            "localhost:5000",
            "https://index.docker.io/v1/",
            "https://[::1]:5000",
            "https://h.example/a@b:c",
        ):
            self.assertEqual(credential_server(text), text)
        secret = "TOPSECRET"
        for text in (
            "",
            "x y",
            f"https://u:{secret}@h.example/",
            f"{secret}@h.example",
            f"https://h.example/?k={secret}",
            f"https://h.example?k={secret}",
            f"https://h.example/#{secret}",
            "h:99999",
            "h:0",
            "https://h:",
            "https://",
            "h.example/é",
            "a\nb",
        ):
            error = self.assertRaises(InvalidValue, credential_server, text)
            self.assertNotIn(secret, str(error))
