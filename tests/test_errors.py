"""The tree of errors, and the documents they become."""

import json

from twisted.trial.unittest import SynchronousTestCase

from regbroker import errors
from regbroker.errors import (
    ClientError,
    ConfigurationError,
    HTTPError,
    NameUnknown,
    RedirectRefused,
    RegbrokerError,
    StorageRefused,
    TokensUnavailable,
    UpstreamError,
    UpstreamRefused,
    code_for_status,
)

# OCI distribution-spec 1.1, "Error Codes", and what Docker has beside them.
KNOWN_CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "UNKNOWN",
    "UNSUPPORTED",
}


def all_below(kind: type[Exception]) -> set[type[Exception]]:
    """Every class below `kind` in the module itself; the sandbox has more."""
    below = set(kind.__subclasses__())
    below = below.union(*(all_below(each) for each in below)) if below else below
    return {each for each in below if each.__module__ == errors.__name__}


class TreeTests(SynchronousTestCase):
    def test_drawn(self) -> None:
        """The module's docstring shows each class with its status and code."""
        assert errors.__doc__ is not None
        drawn = {}
        for line in errors.__doc__.splitlines():
            _, branch, rest = line.rpartition("-- ")
            if branch:
                name, *words = rest.split()
                drawn[name] = words
        self.assertEqual(
            set(drawn), {each.__name__ for each in all_below(RegbrokerError)}
        )
        for kind in all_below(HTTPError) - {
            ClientError,
            UpstreamError,
            StorageRefused,
            TokensUnavailable,
            UpstreamRefused,
        }:
            assert issubclass(kind, HTTPError)
            self.assertEqual(drawn[kind.__name__], [str(kind.status), kind.code])

    def test_side_at_fault(self) -> None:
        """A 4xx is the client's fault, a 5xx the upstream's."""
        for kind in all_below(ClientError):
            assert issubclass(kind, ClientError)
            self.assertIn(kind.status, range(400, 500), kind)
        for kind in all_below(UpstreamError):
            assert issubclass(kind, UpstreamError)
            self.assertIn(kind.status, range(500, 600), kind)

    def test_codes(self) -> None:
        """Clients know every code."""
        for kind in all_below(HTTPError):
            assert issubclass(kind, HTTPError)
            self.assertIn(kind.code, KNOWN_CODES, kind)
        for status in range(400, 600):
            self.assertIn(code_for_status(status), KNOWN_CODES, status)

    def test_explained(self) -> None:
        """Each class says in a sentence what has happened."""
        for kind in all_below(RegbrokerError):
            self.assertTrue((kind.__doc__ or "").strip().endswith("."), kind)


class CodeTests(SynchronousTestCase):
    def test_by_status(self) -> None:
        """The statuses that clients act on have the code that they look for."""
        for status, code in (
            (401, "UNAUTHORIZED"),
            (403, "DENIED"),
            (404, "NAME_UNKNOWN"),
            (429, "TOOMANYREQUESTS"),
            (503, "UNAVAILABLE"),
            (418, "UNKNOWN"),
        ):
            self.assertEqual(code_for_status(status), code)


class DocumentTests(SynchronousTestCase):
    def test_body(self) -> None:
        """An error is an OCI document, with a detail where there is one."""
        error = NameUnknown("not here", detail={"name": "a/b"})
        self.assertEqual(
            json.loads(error.body()),
            {
                "errors": [
                    {
                        "code": "NAME_UNKNOWN",
                        "message": "not here",
                        "detail": {"name": "a/b"},
                    }
                ]
            },
        )
        self.assertEqual(
            json.loads(NameUnknown("no").body()),
            {"errors": [{"code": "NAME_UNKNOWN", "message": "no"}]},
        )

    def test_any_text(self) -> None:
        """Whatever a client wrote can be told back to it, in ASCII."""
        for text in ('"', "\n\r\0", "é", "\udce9", "\U0001f600"):
            body = NameUnknown(text, detail={"name": text}).body()
            self.assertTrue(body.isascii())
            self.assertEqual(json.loads(body)["errors"][0]["message"], text)

    def test_request_id(self) -> None:
        """It stands in the detail, whatever it looks like and the error says."""
        for message in ("plain", '100 % of "it"', "%b", "\\ \u00e9 \n", "a" * 1000):
            for request_id in ("0a1B", "a-b", "\u00e9", '"', "%b", "%"):
                for detail in (None, {"name": "%b"}):
                    error = errors.BadRequest(message, detail=detail)
                    for _ in range(2):
                        (one,) = json.loads(error.body(request_id))["errors"]
                        self.assertEqual(
                            one,
                            {
                                "code": "UNSUPPORTED",
                                "message": message,
                                "detail": {**(detail or {}), "request_id": request_id},
                            },
                        )

    def test_headers(self) -> None:
        """Headers come along in their order; they cannot change later."""
        given = [(b"Allow", b"GET"), (b"X", b"1")]
        error = NameUnknown("no", headers=given)
        given.clear()
        self.assertEqual(error.headers, ((b"Allow", b"GET"), (b"X", b"1")))

    def test_refused(self) -> None:
        """An upstream's refusal keeps its status, document and headers."""
        error = UpstreamRefused(429, b"{}", [(b"Retry-After", b"7")])
        self.assertEqual(
            (error.status, error.body(), error.headers),
            (429, b"{}", ((b"Retry-After", b"7"),)),
        )
        self.assertEqual(UpstreamError("x").status, 502)
        self.assertIn("429", str(error))

    def test_redirected(self) -> None:
        """What a storage refuses keeps its status; what is not followed, its secret."""
        error = StorageRefused(404, "BLOB_UNKNOWN", "gone", [(b"A", b"1")])
        self.assertEqual((error.status, error.headers), (404, ((b"A", b"1"),)))
        self.assertEqual(
            json.loads(error.body()),
            {"errors": [{"code": "BLOB_UNKNOWN", "message": "gone"}]},
        )
        refused = RedirectRefused("10.0.0.1 is not public")
        self.assertEqual(refused.why, "10.0.0.1 is not public")
        self.assertNotIn("10.0.0.1", str(refused) + refused.body().decode())


class ConfigurationErrorTests(SynchronousTestCase):
    def test_every_problem(self) -> None:
        """All problems are carried, and told one a line."""
        error = ConfigurationError(["[a] b: wrong", "[c] d: missing"])
        self.assertEqual(error.problems, ("[a] b: wrong", "[c] d: missing"))
        self.assertEqual(str(error), "[a] b: wrong\n[c] d: missing")
