"""The reply bodies that carry names: lists and errors."""

import gzip
import json
import tracemalloc
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import UpstreamMalformed
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.bodies import (
    MAX_WORDS,
    NameRewriter,
    catalog_names,
    decode_content,
    error_body,
    parse_object,
    tags_list,
)
from tests.grammar import EXAMPLES, names


def strict(body: bytes) -> Any:
    """Parse what everybody takes for JSON."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(body, parse_constant=refuse)


def rewriter(known: dict[str, str] | None = None, *rules: str) -> NameRewriter:
    """Words replaced by these rules, `team` and `lib` if none are given."""
    lines = rules or ("team = acme_team", "lib/* = hub/*")
    mapping = NameMapping([parse_rule(line) for line in lines], ["up"])
    return NameRewriter(known or {}, lambda name: mapping.to_public(name, "up"))


class DecodeTests(SynchronousTestCase):
    BODY = b'{"tags": []}' * 100

    def test_encodings(self) -> None:
        """Bodies come as they are, gzipped or deflated."""
        for encoding, body in (
            ("", self.BODY),
            ("identity", self.BODY),
            ("gzip", gzip.compress(self.BODY)),
            (" GZIP ", gzip.compress(self.BODY)),
            ("x-gzip", gzip.compress(self.BODY)),
            ("deflate", zlib.compress(self.BODY)),
        ):
            self.assertEqual(decode_content(body, encoding, 5000), self.BODY)

    def test_refused(self) -> None:
        """What is broken, cut off, or encoded in another way."""
        packed = gzip.compress(self.BODY)
        for encoding, body in (
            ("br", self.BODY),
            ("zstd", self.BODY),
            ("gzip, gzip", packed),
            ("x" * 5000, self.BODY),
            ("gzip", self.BODY),
            ("gzip", packed[:-9]),
            ("gzip", packed[:20]),
            ("gzip", b""),
            ("gzip", packed[:-8] + b"\0" * 8),
        ):
            error = self.assertRaises(
                UpstreamMalformed, decode_content, body, encoding, 5000
            )
            self.assertLess(len(str(error)), 200)

    def test_bound(self) -> None:
        """A small body that unpacks to a huge one is not unpacked."""
        self.assertEqual(
            len(decode_content(gzip.compress(bytes(5000)), "gzip", 5000)), 5000
        )
        self.assertRaises(
            UpstreamMalformed, decode_content, gzip.compress(bytes(5001)), "gzip", 5000
        )
        bomb = gzip.compress(bytes(50_000_000), 1)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertRaises(UpstreamMalformed, decode_content, bomb, "gzip", 5000)
        self.assertLess(tracemalloc.get_traced_memory()[1], 1_000_000)


class ParseTests(SynchronousTestCase):
    def test_object(self) -> None:
        """A JSON object, in UTF-8."""
        self.assertEqual(parse_object('{"a": "é"}'.encode()), {"a": "é"})

    def test_refused(self) -> None:
        """Everything else is the upstream's fault."""
        for body in (
            b"",
            b"null",
            b"[]",
            b'"x"',
            b"1",
            b"{",
            b"{} {}",
            b"<html>",
            b'{"a": "\xe9"}',
            b"\xff\xfe{",
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"a":' + b"9" * 5000 + b"}",
        ):
            error = self.assertRaises(UpstreamMalformed, parse_object, body)
            self.assertEqual(error.status, 502)


class ListTests(SynchronousTestCase):
    def test_tags(self) -> None:
        """A list of tags speaks of the public name; the tags are as they were."""
        body = tags_list(
            b'{"name":"acme_team/app","tags":["1","acme_team"],"x":1}', "team/app"
        )
        self.assertEqual(
            json.loads(body), {"name": "team/app", "tags": ["1", "acme_team"], "x": 1}
        )

    def test_tags_without_any(self) -> None:
        """A repository without tags may say null, or nothing."""
        for body in (b'{"name":"acme_team/app","tags":null}', b'{"tags":null}'):
            self.assertEqual(
                json.loads(tags_list(body, "team/app")),
                {"name": "team/app", "tags": None},
            )
        self.assertEqual(json.loads(tags_list(b"{}", "team/app")), {"name": "team/app"})

    def test_names_like_keys(self) -> None:
        """Names that are words of the documents themselves are no keys and codes."""
        for word in ("errors", "code", "message", "detail", "tag", "denied"):
            words = rewriter({word: "app"}, f"app = {word}")
            document = {
                "errors": [
                    {"code": "denied", "message": f"no {word}", "detail": {"tag": "1"}}
                ]
            }
            expected = {
                "errors": [
                    {"code": "denied", "message": "no app", "detail": {"tag": "1"}}
                ]
            }
            body = error_body(403, json.dumps(document).encode(), words)
            self.assertEqual(json.loads(body), expected, word)

    def test_no_numbers(self) -> None:
        """NaN and its kin, which only Python reads, are nothing."""
        body = tags_list(b'{"tags":["1"],"x":[NaN,Infinity,-Infinity]}', "team/app")
        self.assertEqual(
            strict(body), {"name": "team/app", "tags": ["1"], "x": [None] * 3}
        )

    def test_nested(self) -> None:
        """However deep a list is nested, it is passed on or refused."""
        for depth in (*range(100, 3000, 97), *range(900, 1010)):
            body = b'{"tags":' + b"[" * depth + b"]" * depth + b"}"
            try:
                tags_list(body, "team/app")
            except UpstreamMalformed:
                continue

    def test_catalog(self) -> None:
        """The catalog's names, without what is none."""
        for body, found in (
            (b'{"repositories":["acme_team/app","hub/a"]}', ["acme_team/app", "hub/a"]),
            (b'{"repositories":[]}', []),
            (b'{"repositories":null}', []),
            (b"{}", []),
            (b'{"repositories":["a",1,null,{"name":"b"}]}', ["a"]),
        ):
            self.assertEqual(catalog_names(body), found)
        for body in (b'{"repositories":"a"}', b'{"repositories":{"a":1}}', b"[]", b"x"):
            self.assertRaises(UpstreamMalformed, catalog_names, body)


class WordingTests(SynchronousTestCase):
    def check(self, words: NameRewriter, *texts: tuple[str, str]) -> None:
        for text, expected in texts:
            self.assertEqual(words.text(text), expected)

    def test_names(self) -> None:
        """Upstream names become public ones wherever they stand in a sentence."""
        self.check(
            rewriter(),
            ("acme_team/app", "team/app"),
            ("name acme_team/app not found", "name team/app not found"),
            ("'acme_team/app' is unknown.", "'team/app' is unknown."),
            ('repository "acme_team/app": no', 'repository "team/app": no'),
            ("acme_team/app.", "team/app."),
            ("acme_team/app:latest", "team/app:latest"),
            (f"acme_team/app@sha256:{'0' * 64}", f"team/app@sha256:{'0' * 64}"),
            ("repository:acme_team/app:pull,push", "repository:team/app:pull,push"),
            ("(acme_team/a,hub/b)", "(team/a,lib/b)"),
            ("/acme_team/app/", "/team/app/"),
            ("\nacme_team/app\n", "\nteam/app\n"),
        )

    def test_others_stay(self) -> None:
        """What is no upstream name of ours stays as it is."""
        for text in (
            "",
            "requested access to the resource is denied",
            "acme_teams/app",
            "acme_team-x/app",
            "other/acme_team/app",
            "hub",
            "the hub.",
            "application/vnd.oci.image.manifest.v1+json",
            "sha256:" + "0" * 64,
            "https://docs.example.com/errors#x",
            "naïve café ☃",
        ):
            self.assertEqual(rewriter().text(text), text)

    def test_paths(self) -> None:
        """A path of the registry's API holds a name, too."""
        self.check(
            rewriter({"registry.up.example": "public.example"}),
            ("GET /v2/acme_team/app/manifests/1", "GET /v2/team/app/manifests/1"),
            (
                "https://registry.up.example/v2/hub/a/tags/list: 404",
                "https://public.example/v2/lib/a/tags/list: 404",
            ),
            ("/v2/other/app/tags/list", "/v2/other/app/tags/list"),
            ("v2", "v2"),
            ("/v2/", "/v2/"),
        )
        self.check(
            rewriter({}, "* = acme_*"), ("/v2/acme_a/b/tags/list", "/v2/a/b/tags/list")
        )

    def test_other_paths(self) -> None:
        """The names of the request stand in paths of the registry's own, too."""
        store = "/var/lib/registry/docker/registry/v2/repositories"
        words = rewriter({"acme_team/app": "team/app", "app": "one/app"})
        self.check(
            words,
            (
                f"open {store}/acme_team/app/_uploads/1",
                f"open {store}/team/app/_uploads/1",
            ),
            (f"{store}/acme_team/app", f"{store}/team/app"),
            (f"{store}/app/_layers", f"{store}/one/app/_layers"),
            ("docker-local/acme_team/app/1/x.json", "docker-local/team/app/1/x.json"),
            (f"{store}/acme_team/apps/_layers", f"{store}/acme_team/apps/_layers"),
            (f"{store}/my/acme_team/app2", f"{store}/my/acme_team/app2"),
        )
        detail = {"Path": f"{store}/acme_team/app/_manifests/tags/1/current/link"}
        self.assertNotIn("acme_", json.dumps(words.value({"detail": detail})))
        every = NameMapping([parse_rule("hub/* = up:*")], [])
        words = NameRewriter(
            {"acme/app": "hub/acme/app"}, lambda name: every.to_public(name, "up")
        )
        self.check(
            words,
            (f"{store}/acme/app/_layers", f"{store}/hub/acme/app/_layers"),
            ("/v2/acme/app/blobs/1", "/v2/hub/acme/app/blobs/1"),
        )

    def test_every_name(self) -> None:
        """Where the rules lead back from every word, words stay words."""
        rules = NameMapping([parse_rule("hub/* = up:*")], [], {"up": "library"})
        known = {
            "library/nginx": "hub/nginx",
            "up.example": "public.example",
            "public.example": "public.example",
        }
        words = NameRewriter(known, lambda name: rules.to_public(name, "up"))
        for text in (
            "see https://www.docker.com/increase-rate-limit",
            "media type application/vnd.oci.image.index.v1+json",
            "and/or",
            "Error: denied, i/o timeout",
        ):
            self.assertEqual(words.text(text), text)
        self.check(
            words,
            ("library/nginx:1 is unknown", "hub/nginx:1 is unknown"),
            ("GET /v2/library/nginx/manifests/1", "GET /v2/hub/nginx/manifests/1"),
            ("/v2/acme/app/tags/list", "/v2/hub/acme/app/tags/list"),
            ("up.example/library/nginx:1", "public.example/hub/nginx:1"),
            ("public.example/library/nginx:1", "public.example/hub/nginx:1"),
            ("up.example/acme/app", "public.example/hub/acme/app"),
        )
        self.assertEqual(
            words.value({"name": "acme/app", "hint": "acme/app"}),
            {"name": "hub/acme/app", "hint": "acme/app"},
        )

    def test_short_names(self) -> None:
        """A client reads the name that it has written, in paths, too."""
        rules = NameMapping([parse_rule("* = *")], ["up"], {"up": "library"})
        words = NameRewriter(
            {"library/nginx": "nginx"}, lambda name: rules.to_public(name, "up")
        )
        self.check(
            words,
            ("library/nginx not found", "nginx not found"),
            ("/v2/library/nginx/manifests/1", "/v2/nginx/manifests/1"),
            ("/v2/library/httpd/tags/list", "/v2/library/httpd/tags/list"),
            ("and/or", "and/or"),
        )

    def test_many_prefixes(self) -> None:
        """However many parts of a path stand before what may be a name."""
        words = rewriter({"up.example": "public.example"})
        for before in ("v2/", "up.example/", "v2/up.example/"):
            for count in (20, 5000):
                shown = words.text(before * count + "acme_team/app")
                self.assertTrue(shown.endswith("acme_team/app"))
        self.check(words, ("v2/v2/acme_team/app", "v2/v2/team/app"))

    def test_same_words(self) -> None:
        """A word that comes again is not looked up again."""
        asked: list[str] = []

        def to_public(name: str) -> str | None:
            asked.append(name)
            return f"public/{name}-x"

        words = NameRewriter({}, to_public)
        for text in ("a/b c/d " * 9000, "c/d"):
            shown = words.text(text)
            self.assertEqual(shown.count("public/c/d-x"), text.count("c/d"))
        self.assertEqual(asked, ["a/b", "c/d"])

    def test_too_many_words(self) -> None:
        """A page of thousands of words is not looked through for ever."""
        asked: list[str] = []
        words = NameRewriter({"acme/x": "team/x"}, lambda name: asked.append(name))
        text = " ".join(f"word/{number}" for number in range(5 * MAX_WORDS))
        self.assertEqual(words.text(text), text)
        self.assertEqual(len(asked), MAX_WORDS)
        self.assertEqual(words.text("acme/x"), "team/x")

    def test_hosts(self) -> None:
        """The upstream's host becomes ours, alone or before a name."""
        self.check(
            rewriter(
                {
                    "registry.up.example": "public.example",
                    "up.example:5000": "public.example",
                }
            ),
            ("registry.up.example said no", "public.example said no"),
            ("registry.up.example/acme_team/app:1", "public.example/team/app:1"),
            ("up.example:5000/acme_team/app:1", "public.example/team/app:1"),
            ("xregistry.up.example", "xregistry.up.example"),
        )

    def test_known(self) -> None:
        """Names of this request are told as the client wrote them."""
        self.check(
            rewriter({"acme_team/app": "acme_team/app", "hub/x": "lib/x"}),
            ("acme_team/app, hub/x, acme_team/b", "acme_team/app, lib/x, team/b"),
        )
        self.check(
            rewriter({"acme_team/app": "team/app"}),
            ("/v2/acme_team/app/manifests/V1", "/v2/team/app/manifests/V1"),
            ("/v2/acme_team/apps/manifests/V1", "/v2/acme_team/apps/manifests/V1"),
        )

    def test_single_words(self) -> None:
        """Where names stay what they are, so do words."""
        words = rewriter({}, "* = *")
        text = "manifest unknown for library/alpine"
        self.assertEqual(words.text(text), text)
        self.check(rewriter({}, "* = acme_*"), ("acme_app and app", "app and app"))
        # A rule that leads back from every word beginning with an x.
        words = rewriter({}, "a/x* = x*")
        self.check(words, ("xylophone x/y /v2/x/y", "xylophone x/y /v2/a/x/y"))
        self.assertEqual(
            words.value(
                {"message": "xylophone", "name": "xylophone", "Name": "xylophone"}
            ),
            {"message": "xylophone", "name": "a/xylophone", "Name": "a/xylophone"},
        )

    def test_values(self) -> None:
        """Names are mapped in every string of a value, and nothing else is."""
        value: Any = [
            {"Type": "repository", "Name": "acme_team/app", "Action": "pull", "n": 1},
            {"name": "hub/a", "tag": "1", "more": ["acme_team", None, True, 1.5]},
            {"name": "other/app"},
            {"name": 5},
        ]
        self.assertEqual(
            rewriter().value(value),
            [
                {"Type": "repository", "Name": "team/app", "Action": "pull", "n": 1},
                {"name": "lib/a", "tag": "1", "more": ["team", None, True, 1.5]},
                {"name": "other/app"},
                {"name": 5},
            ],
        )
        self.assertEqual(value[0]["Name"], "acme_team/app")

    @EXAMPLES
    @given(
        names, st.sampled_from(("{}", "'{}'", "no {} here", "/v2/{}/tags/list", "{}:1"))
    )
    def test_no_upstream_name_left(self, name: str, sentence: str) -> None:
        """Whatever the name, and wherever it stands, the public one is told."""
        words = rewriter({}, "* = acme--x/*")
        self.assertEqual(
            words.text(sentence.format(f"acme--x/{name}")), sentence.format(name)
        )


class ErrorTests(SynchronousTestCase):
    def error(self, status: int, body: Any) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return json.loads(error_body(status, raw, rewriter()))

    def test_document(self) -> None:
        """An OCI document stays one: code, message and details, names mapped."""
        self.assertEqual(
            self.error(
                404,
                {
                    "errors": [
                        {
                            "code": "NAME_UNKNOWN",
                            "message": "repository acme_team/app not known",
                            "detail": {"name": "acme_team/app"},
                        },
                        {
                            "code": "UNAUTHORIZED",
                            "message": "authentication required",
                            "detail": [
                                {
                                    "Type": "repository",
                                    "Name": "hub/a",
                                    "Action": "pull",
                                }
                            ],
                        },
                    ]
                },
            ),
            {
                "errors": [
                    {
                        "code": "NAME_UNKNOWN",
                        "message": "repository team/app not known",
                        "detail": {"name": "team/app"},
                    },
                    {
                        "code": "UNAUTHORIZED",
                        "message": "authentication required",
                        "detail": [
                            {"Type": "repository", "Name": "lib/a", "Action": "pull"}
                        ],
                    },
                ]
            },
        )

    def test_beside(self) -> None:
        """What stands beside the errors is mapped as well."""
        self.assertEqual(
            self.error(
                403, {"errors": [{"code": "DENIED"}], "details": "acme_team/app"}
            ),
            {"errors": [{"code": "DENIED"}], "details": "team/app"},
        )

    def test_keys(self) -> None:
        """Names may be keys as well."""
        detail = {"acme_team/app": {"hub/a": 1, "name": "acme_team/app"}, "tag": "1"}
        self.assertEqual(
            self.error(400, {"errors": [{"code": "X", "detail": detail}]}),
            {
                "errors": [
                    {
                        "code": "X",
                        "detail": {
                            "team/app": {"lib/a": 1, "name": "team/app"},
                            "tag": "1",
                        },
                    }
                ]
            },
        )

    def test_no_numbers(self) -> None:
        """What only Python reads does not get into what is written."""
        body = b'{"errors":[{"code":"X","detail":{"a":NaN,"b":[-Infinity,Infinity]}}]}'
        (error,) = strict(error_body(400, body, rewriter()))["errors"]
        self.assertEqual(error, {"code": "X", "detail": {"a": None, "b": [None, None]}})

    def test_sentences(self) -> None:
        """Token services and others say it in a sentence: that is kept."""
        for document, message in (
            ({"message": "no acme_team/app"}, "no team/app"),
            ({"error": "invalid_grant", "error_description": "wrong"}, "wrong"),
            (
                {"details": "incorrect username or password"},
                "incorrect username or password",
            ),
            ({"error": "invalid_grant"}, "invalid_grant"),
            ({"errors": [], "message": "x"}, "x"),
            ({"errors": None, "message": "x"}, "x"),
            ({"errors": ["acme_team/app"], "message": "x"}, "x"),
            ({"errors": {"a": 1}, "message": "x"}, "x"),
            ({"message": {"a": 1}, "error": "x"}, "x"),
        ):
            self.assertEqual(
                self.error(401, document),
                {"errors": [{"code": "UNAUTHORIZED", "message": message}]},
            )

    def test_no_document(self) -> None:
        """HTML, text and nothing become a document that says the same as the status."""
        for body in (
            b"",
            b"<html>acme_team/app</html>",
            b"404 page not found\n",
            b"\xff\xfe",
            b"[]",
            b"{}",
            b"null",
            b'{"errors": [null]}',
        ):
            for status, code in (
                (404, "NAME_UNKNOWN"),
                (429, "TOOMANYREQUESTS"),
                (500, "UNKNOWN"),
            ):
                self.assertEqual(
                    self.error(status, body),
                    {
                        "errors": [
                            {
                                "code": code,
                                "message": "the upstream registry answered with status "
                                f"{status}",
                            }
                        ]
                    },
                )

    def test_nested(self) -> None:
        """However deep an error is nested, the client gets a document."""
        for depth in (*range(100, 3000, 97), *range(300, 520, 5), *range(900, 1010, 5)):
            body = b'{"errors":[{"code":"X","detail":%s%s}]}' % (
                b"[" * depth,
                b"]" * depth,
            )
            self.assertIn(b'"errors"', error_body(404, body, rewriter()), depth)

    def test_ascii(self) -> None:
        """What is written is ASCII, whatever was said."""
        body = error_body(400, '{"message": "né\\ud800\\u0000"}'.encode(), rewriter())
        self.assertTrue(body.isascii())
        self.assertEqual(json.loads(body)["errors"][0]["message"], "né\ud800\0")
