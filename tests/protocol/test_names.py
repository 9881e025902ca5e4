"""Names, references, digests, and the paths that hold them."""

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import (
    BadRequest,
    ClientError,
    DigestInvalid,
    EndpointUnknown,
    MethodNotAllowed,
    NameInvalid,
    TagInvalid,
)
from regbroker.protocol.names import (
    MAX_NAME_LENGTH,
    METHODS,
    Action,
    Endpoint,
    Target,
    check_name,
    is_algorithm,
    is_digest,
    is_name,
    is_tag,
    parse_path,
)
from tests.grammar import EXAMPLES, digests, hostile, names, tags

DIGEST = "sha256:" + "0a" * 32

SEGMENTS = (
    "",
    ".",
    "..",
    "%2e%2e",
    "%2f",
    "v2",
    "_catalog",
    "_oci",
    "tags",
    "list",
    "manifests",
    "latest",
    "blobs",
    "upload",
    "uploads",
    "referrers",
    DIGEST,
)

GOOD_NAMES = (
    "a",
    "0",
    "team/app",
    "a/b/c/d/e/f",
    "acme_team/app",
    "a__b",
    "a.b",
    "a-b",
    "a---b",
    "a-b_c.d__e",
    "localhost/app",
    "v2/manifests/tags/list/blobs/uploads",
    "a" * MAX_NAME_LENGTH,
    "/".join(["a"] * 128),
)

BAD_NAMES = (
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "a/./b",
    "A",
    "Team/app",
    "team/App",
    "_a",
    "a_",
    "-a",
    "a-",
    ".a",
    "a.",
    "a..b",
    "a___b",
    "a._b",
    "a-_b",
    "a_-b",
    "a/_b",
    "a/b_",
    "a b",
    "a\n",
    "\na",
    "a\0",
    "a%2fb",
    "a%2Fb",
    "a:b",
    "a@b",
    "a?b",
    "a#b",
    "a\\b",
    "a*",
    "ä",
    "٣",
    "a" * (MAX_NAME_LENGTH + 1),
)


def acceptable(name: str) -> bool:
    """The grammar of names once more, component by component, without its regex."""
    for component in name.split("/"):
        words = re.split(r"__|[._]|-+", component)
        if not all(
            word and set(word) <= set("0123456789abcdefghijklmnopqrstuvwxyz")
            for word in words
        ):
            return False
    return len(name) <= MAX_NAME_LENGTH


class GrammarTests(SynchronousTestCase):
    def test_good_names(self) -> None:
        """Names of the OCI grammar are names."""
        for name in GOOD_NAMES:
            self.assertTrue(is_name(name), name)
            self.assertEqual(check_name(name), name)

    def test_bad_names(self) -> None:
        """Everything else is refused, and the refusal does not grow with it."""
        for name in (*BAD_NAMES, "A" * 100_000):
            self.assertFalse(is_name(name), name)
            error = self.assertRaises(NameInvalid, check_name, name)
            self.assertLess(len(error.body()), 2000)

    def test_time(self) -> None:
        """Long names that nearly match are refused at once."""
        for name in ("a" + "-" * 100_000, "a_" * 50_000, "a/" * 50_000):
            self.assertFalse(is_name(name))
            self.assertRaises(NameInvalid, parse_path, f"/v2/{name}/tags/list")

    @EXAMPLES
    @given(names)
    def test_drawn_names(self, name: str) -> None:
        """What is put together by the grammar is a name."""
        self.assertTrue(is_name(name))

    @EXAMPLES
    @given(st.text(alphabet="ab1._-/A", max_size=12))
    def test_another_reading(self, text: str) -> None:
        """Another way to read the grammar comes to the same."""
        self.assertEqual(is_name(text), acceptable(text))

    def test_tags(self) -> None:
        """A tag has at most 128 word characters, dots and dashes."""
        for tag in ("latest", "1.0", "_", "V1", "a" * 128, "1..2", "list", "a-"):
            self.assertTrue(is_tag(tag), tag)
        for tag in ("", ".a", "-a", "a" * 129, "a/b", "a:b", "a b", "a\n", "ä", "a+b"):
            self.assertFalse(is_tag(tag), tag)

    def test_digests(self) -> None:
        """A digest has an algorithm and an encoded part, of whatever kind."""
        for digest in (
            DIGEST,
            "sha512:" + "f" * 128,
            "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
            "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
            "a.b_c-d:x=",
        ):
            self.assertTrue(is_digest(digest), digest)
        for digest in (
            "",
            "sha256",
            "sha256:",
            ":abc",
            "SHA256:abc",
            "sha256:a/b",
            "sha256:a b",
            "sha256:abc\n",
            "sha256::abc",
            "+sha:abc",
            "sha++b:abc",
            "sha256:%61",
        ):
            self.assertFalse(is_digest(digest), digest)

    def test_algorithms(self) -> None:
        """An algorithm is what stands before the colon of a digest."""
        for algorithm in ("sha256", "multihash+base58", "a.b_c-d"):
            self.assertTrue(is_algorithm(algorithm), algorithm)
        for algorithm in ("", "SHA256", "sha256:", "+sha", "sha++b", "sha256\n"):
            self.assertFalse(is_algorithm(algorithm), algorithm)


class GoodPathTests(SynchronousTestCase):
    def check(
        self, path: str, endpoint: Endpoint, name: str | None, reference: str | None
    ) -> None:
        target = parse_path(path)
        self.assertEqual(
            (target.endpoint, target.path, target.name, target.reference),
            (endpoint, path, name, reference),
        )

    def test_without_name(self) -> None:
        """The version check, with and without its slash, and the catalog."""
        self.check("/v2/", Endpoint.BASE, None, None)
        # Not every registry has it without the slash.
        self.assertEqual(parse_path("/v2"), parse_path("/v2/"))
        self.check("/v2/_catalog", Endpoint.CATALOG, None, None)

    def test_endpoints(self) -> None:
        """Each endpoint of a repository, for each kind of name."""
        for name in GOOD_NAMES:
            for rest, endpoint, reference in (
                ("tags/list", Endpoint.TAGS, None),
                ("manifests/1.0", Endpoint.MANIFEST, "1.0"),
                (f"manifests/{DIGEST}", Endpoint.MANIFEST, DIGEST),
                ("manifests/list", Endpoint.MANIFEST, "list"),
                (f"blobs/{DIGEST}", Endpoint.BLOB, DIGEST),
                ("blobs/uploads/", Endpoint.UPLOADS, None),
                ("blobs/uploads", Endpoint.UPLOADS, None),
                ("blobs/uploads/6b3c9a93-af5d", Endpoint.UPLOAD, "6b3c9a93-af5d"),
                ("blobs/upload/1.abc=", Endpoint.UPLOAD, "1.abc="),
                (f"referrers/{DIGEST}", Endpoint.REFERRERS, DIGEST),
            ):
                self.check(f"/v2/{name}/{rest}", endpoint, name, reference)

    def test_extensions(self) -> None:
        """What begins with "_" is an extension's, of a repository or of all."""
        for path, name, extension in (
            ("/v2/_oci/ext/discover", None, "_oci"),
            ("/v2/_oci/ext/discover/", None, "_oci"),
            ("/v2/_catalog/x", None, "_catalog"),
            ("/v2/team/app/_oci/tag-history/latest", "team/app", "_oci"),
            (f"/v2/team/app/_oci/x/{DIGEST}", "team/app", "_oci"),
            ("/v2/team/app/_oci/x/sha256%3A0a", "team/app", "_oci"),
            ("/v2/a/_chainguard/x/_y", "a", "_chainguard"),
            ("/v2/a/_docker/tags/list", "a", "_docker"),
            ("/v2/a/_docker/manifests/1", "a", "_docker"),
            ("/v2/a/manifests/_oci/x", "a/manifests", "_oci"),
        ):
            self.assertRaises(ClientError, parse_path, path)
            target = parse_path(path, extensions=True)
            self.assertIs(target.endpoint, Endpoint.EXTENSION, path)
            self.assertEqual((target.name, target.reference), (name, extension))
            if name is not None:
                self.assertEqual(target.path_for("x"), path.replace(name, "x", 1))
        for path, endpoint in (
            ("/v2/a/manifests/_oci", Endpoint.MANIFEST),
            ("/v2/a/blobs/uploads/_oci", Endpoint.UPLOAD),
        ):
            self.assertIs(parse_path(path, extensions=True).endpoint, endpoint)

    def test_encoded_reference(self) -> None:
        """A reference may be encoded; it goes on in the bytes it came in."""
        path = "/v2/a/blobs/sha256%3Aabc"
        self.check(path, Endpoint.BLOB, "a", "sha256:abc")
        self.assertEqual(parse_path(path).path_for("b"), "/v2/b/blobs/sha256%3Aabc")
        self.check("/v2/a/blobs/uploads/x%3Dy", Endpoint.UPLOAD, "a", "x=y")

    def test_names_like_endpoints(self) -> None:
        """The last endpoint in the path is the one; what is before is the name."""
        self.check("/v2/tags/list/tags/list", Endpoint.TAGS, "tags/list", None)
        self.check(
            "/v2/a/manifests/b/manifests/c", Endpoint.MANIFEST, "a/manifests/b", "c"
        )
        self.check(
            "/v2/blobs/uploads/blobs/uploads/", Endpoint.UPLOADS, "blobs/uploads", None
        )

    @EXAMPLES
    @given(names, names, st.one_of(tags, digests))
    def test_round_trip(self, name: str, other: str, reference: str) -> None:
        """A path comes apart into what it was made of, and goes together again."""
        path = f"/v2/{name}/manifests/{reference}"
        target = parse_path(path)
        self.assertEqual((target.name, target.reference), (name, reference))
        self.assertEqual(target.path_for(name), path)
        moved = parse_path(target.path_for(other))
        self.assertEqual(
            (moved.endpoint, moved.name, moved.rest, moved.reference),
            (target.endpoint, other, target.rest, target.reference),
        )


class BadPathTests(SynchronousTestCase):
    def test_names(self) -> None:
        """A path with a bad name is refused, whatever its endpoint."""
        for name in BAD_NAMES:
            for rest in (
                "tags/list",
                "manifests/1",
                f"blobs/{DIGEST}",
                "blobs/uploads/",
            ):
                error = self.assertRaises(ClientError, parse_path, f"/v2/{name}/{rest}")
                self.assertIsInstance(error, NameInvalid, name)

    def test_references(self) -> None:
        """What is no tag or digest is refused with the code for it."""
        for path, kind in (
            ("/v2/a/manifests/.a", TagInvalid),
            ("/v2/a/manifests/a%2Fb", TagInvalid),
            ("/v2/a/manifests/%2e%2e", TagInvalid),
            ("/v2/a/manifests/..", TagInvalid),
            ("/v2/a/manifests/a%0a", TagInvalid),
            ("/v2/a/manifests/a%00", TagInvalid),
            ("/v2/a/manifests/a%252f", TagInvalid),
            ("/v2/a/manifests/a?b", TagInvalid),
            ("/v2/a/manifests/a#b", TagInvalid),
            ("/v2/a/manifests/sha256:", TagInvalid),
            ("/v2/a/blobs/latest", DigestInvalid),
            ("/v2/a/blobs/..", DigestInvalid),
            ("/v2/a/blobs/upload", DigestInvalid),
            ("/v2/a/blobs/sha256%3Aa%2Fb", DigestInvalid),
            ("/v2/a/referrers/latest", DigestInvalid),
            ("/v2/a/referrers/%2e", DigestInvalid),
            ("/v2/a/blobs/uploads/..", BadRequest),
            ("/v2/a/blobs/uploads/.", BadRequest),
            ("/v2/a/blobs/uploads/%2e%2e", BadRequest),
            ("/v2/a/blobs/uploads/%2E", BadRequest),
            ("/v2/a/blobs/uploads/x%2Fy", BadRequest),
            ("/v2/a/blobs/uploads/x%5Cy", BadRequest),
            ("/v2/a/blobs/uploads/x%0D%0Ay", BadRequest),
            ("/v2/a/blobs/uploads/x%252F", BadRequest),
            ("/v2/a/blobs/uploads/x y", BadRequest),
            ("/v2/a/blobs/uploads/\xe9", BadRequest),
        ):
            error = self.assertRaises(ClientError, parse_path, path)
            self.assertIs(type(error), kind, path)

    def test_no_endpoint(self) -> None:
        """What looks like no endpoint is refused with a 404."""
        for path in (
            "",
            "/",
            "v2/",
            "/v1/search",
            "/V2/",
            "/v2x",
            "/v3/",
            "//v2/",
            "/v2/a",
            "/v2/a/b",
            "/v2/a/tags",
            "/v2/a/tags/",
            "/v2/a/tags/list/",
            "/v2/a/tags/list/x",
            "/v2/a/manifests",
            "/v2/a/manifests/",
            "/v2/a/manifests/1/",
            "/v2/a/manifests/1/2",
            "/v2/a/blobs/",
            "/v2/a/referrers/",
            "/v2/a/blobs/uploads/x/",
            "/v2/a/blobs/uploads/x/y",
            "/v2/tags/list",
            "/v2/manifests/1",
            "/v2/_oci",
            "/v2/_oci/",
            "/v2/a/_oci",
            "/v2/a/_oci/",
        ):
            error = self.assertRaises(ClientError, parse_path, path, extensions=True)
            self.assertEqual((type(error), error.status), (EndpointUnknown, 404), path)

    def test_never_upstream(self) -> None:
        """Tricks with segments are refused on any path below /v2/."""
        for path in (
            "/v2//",
            "/v2/../",
            "/v2/./",
            "/v2/..",
            "/v2/%2e%2e/v2/a/tags/list",
            "/v2//_catalog",
            "/v2/./_catalog",
            "/v2/a/../_catalog",
            "/v2/a/../../x",
            "/v2/a//tags/list",
            "/v2/a/%2e%2e/tags/list",
            "/v2/a%2ftags%2flist",
            "/v2/a%2Fb/tags/list",
            "/v2/a/b%00/tags/list",
            "/v2/a\n/tags/list",
            "/v2/a/tags/list\n",
            "/v2/_catalog\n",
            "/v2/\n",
            "/v2/_catalog/",
            "/v2/_CATALOG",
            "/v2/%5fcatalog",
            "/v2/_oci//x",
            "/v2/_oci/x//",
            "/v2/_oci/../x",
            "/v2/a/_oci/../../b/manifests/1",
            "/v2/a/_oci/..;/..;/b/manifests/1",
            "/v2/a/_oci/%2e%2e/x",
            "/v2/a/_oci/.%2e/x",
            "/v2/a/_oci/x%2f..",
            "/v2/a/_oci/%252e%252e",
            "/v2/a/_o%2fci/x",
            "/v2/A/_oci/x",
            "/v2/a/%5foci/x",
            "/v2//_oci/x",
            "/v2/./_oci/x",
            "/v2\n",
        ):
            for extensions in (False, True):
                error = self.assertRaises(ClientError, parse_path, path, extensions)
                self.assertIn(error.status, (400, 404), path)

    @EXAMPLES
    @given(
        st.lists(
            st.one_of(
                names,
                hostile,
                st.sampled_from(SEGMENTS),
            ),
            max_size=6,
        )
    )
    def test_anything(self, segments: list[str]) -> None:
        """
        A path is refused with a 4xx, or is safe: its name is one, it goes
        together again byte for byte, and no server can read another path in it.
        """
        path = "/v2/" + "/".join(segments)
        try:
            target = parse_path(path, extensions=True)
        except ClientError:
            return
        if target.name is not None:
            self.assertTrue(is_name(target.name))
            self.assertEqual(target.path_for(target.name), path)
        elif target.endpoint is not Endpoint.EXTENSION:
            self.assertIn(path, ("/v2/", "/v2/_catalog"))
        self.assertNotRegex(
            path, r"[\x00-\x20\x7f-\U0010ffff\\?#]|(?i:%2e|%2f|%5c|%25)"
        )
        self.assertFalse({".", ".."} & set(path.split("/")))
        self.assertNotIn("//", path)


class MethodTests(SynchronousTestCase):
    def test_allowed(self) -> None:
        """Each endpoint takes its methods, and says which when asked otherwise."""
        for endpoint, allowed in METHODS.items():
            target = Target(endpoint, "/")
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                if method in allowed:
                    target.check_method(method)
                    continue
                error = self.assertRaises(MethodNotAllowed, target.check_method, method)
                self.assertEqual(error.status, 405)
                self.assertEqual(
                    error.headers, ((b"Allow", ", ".join(allowed).encode()),)
                )

    def test_strange(self) -> None:
        """Methods are exact; a long one does not make the reply long."""
        for method in ("get", "", "G E T", "X" * 10_000):
            error = self.assertRaises(
                MethodNotAllowed, Target(Endpoint.TAGS, "/").check_method, method
            )
            self.assertLess(len(error.body()), 500)

    def test_read_only(self) -> None:
        """Where nothing may be written, what pulls is left, and it is told so."""
        for endpoint, methods in METHODS.items():
            target = Target(endpoint, "/")
            left = [m for m in methods if target.action_of(m) is Action.PULL]
            for method in methods:
                if method in left:
                    target.check_method(method, read_only=True)
                    continue
                error = self.assertRaises(
                    MethodNotAllowed, target.check_method, method, read_only=True
                )
                self.assertEqual((error.status, error.code), (405, "UNSUPPORTED"))
                self.assertIn("read-only", error.message)
                self.assertEqual(error.headers, ((b"Allow", ", ".join(left).encode()),))
        for endpoint, method, word in (
            (Endpoint.TAGS, "POST", "GET, HEAD, not POST"),
            (Endpoint.MANIFEST, "OPTIONS", "GET, HEAD, not OPTIONS"),
            (Endpoint.UPLOADS, "OPTIONS", "read-only"),
        ):
            error = self.assertRaises(
                MethodNotAllowed, Target(endpoint, "/").check_method, method, True
            )
            self.assertIn(word, error.message)

    def test_specification(self) -> None:
        """What the distribution specification has an endpoint do, it takes."""
        for endpoint, methods in (
            (Endpoint.BASE, "GET"),
            (Endpoint.BLOB, "GET HEAD DELETE"),
            (Endpoint.MANIFEST, "GET HEAD PUT DELETE"),
            (Endpoint.UPLOADS, "POST"),
            (Endpoint.UPLOAD, "GET PATCH PUT DELETE"),
            (Endpoint.TAGS, "GET"),
            (Endpoint.REFERRERS, "GET"),
            (Endpoint.CATALOG, "GET"),
        ):
            for method in methods.split():
                Target(endpoint, "/").check_method(method)


class ActionTests(SynchronousTestCase):
    def test_action(self) -> None:
        """A method is pull, push or delete; all of an upload is a push."""
        for endpoint, method, action in (
            (Endpoint.MANIFEST, "GET", Action.PULL),
            (Endpoint.MANIFEST, "HEAD", Action.PULL),
            (Endpoint.MANIFEST, "PUT", Action.PUSH),
            (Endpoint.MANIFEST, "DELETE", Action.DELETE),
            (Endpoint.BLOB, "GET", Action.PULL),
            (Endpoint.BLOB, "DELETE", Action.DELETE),
            (Endpoint.UPLOADS, "POST", Action.PUSH),
            (Endpoint.UPLOAD, "GET", Action.PUSH),
            (Endpoint.UPLOAD, "DELETE", Action.PUSH),
            (Endpoint.TAGS, "GET", Action.PULL),
            (Endpoint.REFERRERS, "GET", Action.PULL),
        ):
            self.assertIs(Target(endpoint, "/").action_of(method), action)
