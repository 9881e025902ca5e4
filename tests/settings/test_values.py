"""What options may say about accounts and balancers; the rest is in `test_ini`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.values import (
    InvalidValue,
    cors_origins,
    count,
    credential_server,
    extensions,
    helper_name,
    path_prefixes,
    pattern,
    public_url,
    rate,
    search_url,
    seconds,
    service,
    shared_actions,
    token_life,
    yes_or_no,
)


class ValueTests(SynchronousTestCase):
    def assert_refused(self, parse: Callable[[str], Any], *texts: str) -> None:
        """None of these is a value; each is told what would be right."""
        for text in texts:
            error = self.assertRaises(InvalidValue, parse, text)
            self.assertTrue(str(error), text)

    def test_token_life(self) -> None:
        """Clients use a token for a minute, whatever it says: so it lives as long."""
        self.assertEqual(token_life("60"), 60.0)
        self.assertEqual(token_life("3600"), 3600.0)
        self.assert_refused(token_life, "59", "1", "0", "-1", "soon", "nan", "")

    def test_lent_actions(self) -> None:
        """Pull alone, unless more is said."""
        self.assertEqual(shared_actions("shared"), {"pull"})
        self.assertEqual(shared_actions("shared: pull, push"), {"pull", "push"})
        self.assertEqual(shared_actions("shared:delete"), {"delete"})
        self.assert_refused(shared_actions, "", "yes", "shared:", "shared: *", "Shared")

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

    def test_extensions(self) -> None:
        """Each begins with an underscore; the catalog is none."""
        self.assertEqual(extensions("_oci, _docker\n_oci"), ("_oci", "_docker"))
        self.assertEqual(extensions(""), ())
        self.assert_refused(extensions, "oci", "_", "_catalog", "_a/b", "*", "__a")

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

    def test_pattern(self) -> None:
        """Any of the lines; none is no pattern."""
        found = pattern("docker/1\\.5\n  Go \\d  \n")
        assert found is not None
        self.assertTrue(found.match("docker/1.5.0") and found.match("Go 1.1"))
        self.assertIsNone(found.match("skopeo docker/1.5"))
        self.assertIsNone(pattern(""))
        self.assert_refused(pattern, "(", "a\n*")

    def test_helper_name(self) -> None:
        """A name and not a path."""
        self.assertEqual(helper_name("ecr-login"), "ecr-login")
        self.assert_refused(helper_name, "", "../x", "/bin/sh", "a b", "-x", ".x")

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

    def test_service(self) -> None:
        """Some name; an empty one would have no effect."""
        self.assertEqual(service("Docker registry"), "Docker registry")
        self.assert_refused(service, "", "a\nb", "a\0")

    def test_numbers(self) -> None:
        """Digits, with a fraction where there may be one; the bounds are said."""
        self.assertEqual(
            [seconds("0.5"), seconds("90"), seconds("1000000")], [0.5, 90, 1e6]
        )
        self.assertEqual([rate("0"), rate("500"), rate("1000000000")], [0, 500, 1e9])
        self.assertEqual([count("1"), count("9999999")], [1, 9999999])
        for parse, bounds in (
            (seconds, "is not a number of seconds above 0, up to 1000000"),
            (rate, "is not a number of bytes per second, up to 1000000000; "),
            (count, "is not a number from 1 to 9999999"),
        ):
            for text in (
                "",
                "1_0",
                "+5",
                "-1",
                "\uff15",
                "\u0665",
                "inf",
                "nan",
                "1e12",
                "5s",
            ):
                error = self.assertRaises(InvalidValue, parse, text)
                self.assertIn(f"'{text}' {bounds}", str(error))
        for text in ("0", "99999999999", "1000000.5", "9" * 400):
            self.assert_refused(seconds, text)
        self.assert_refused(rate, "1000000001", "9" * 400)
        self.assert_refused(count, "0", "1.5", "10000000")

    def test_yes_or_no(self) -> None:
        """These words and no others."""
        self.assertEqual([yes_or_no("yes"), yes_or_no("no")], [True, False])
        self.assert_refused(yes_or_no, "", "true", "1", "Yes")
