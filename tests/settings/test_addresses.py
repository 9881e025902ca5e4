"""What options may say of hosts, URLs and paths; the rest is in `test_ini`."""

from regbroker.settings.addresses import (
    admin_listeners,
    cors_origins,
    credential_server,
    path_prefixes,
    public_url,
    search_url,
)
from regbroker.settings.values import InvalidValue
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

    def test_admin_listeners(self) -> None:
        """Loopback unless it says otherwise; a unix socket is for its group."""
        for line, endpoint in (
            ("tcp:9180", "tcp:9180:interface=127.0.0.1"),
            ("tcp:9180:interface=127.0.0.2", "tcp:9180:interface=127.0.0.2"),
            (r"tcp:9180:interface=\:\:1", r"tcp:9180:interface=\:\:1"),
            ("public:tcp:9180", "tcp:9180"),
            ("public:tcp:9180:interface=10.0.0.5", "tcp:9180:interface=10.0.0.5"),
            ("unix:/run/admin.sock", "unix:/run/admin.sock:mode=660"),
            ("unix:/run/admin.sock:mode=666", "unix:/run/admin.sock:mode=666"),
            ("systemd:domain=INET:index=1", "systemd:domain=INET:index=1"),
        ):
            (found,) = admin_listeners(line)
            self.assertEqual((found.text, found.endpoint), (line, endpoint))
            self.assertFalse(found.tls or found.proxy_protocol)
        two = admin_listeners("tcp:9180\nunix:/run/admin.sock")
        self.assertEqual(len(two), 2)
        self.assert_refused(
            admin_listeners,
            "tcp:9180:interface=0.0.0.0",
            "tcp:9180:interface=10.0.0.5",
            r"tcp:9180:interface=\:\:",
            "tcp:9180:interface=host.test",
            "9180",
            "tls:9180",
            "proxy:tcp:9180",
            "public:tls:9180",
            "udp:9180",
        )
        with self.assertRaisesRegex(InvalidValue, "write public:tcp:9180:interface="):
            admin_listeners("tcp:9180:interface=0.0.0.0")

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
