"""``WWW-Authenticate``: what registries write, and what clients can read."""

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.challenges import (
    Challenge,
    basic_challenge,
    bearer_challenge,
    find_bearer,
    format_challenge,
    parse_challenges,
    unauthorized,
)
from tests.grammar import EXAMPLES, hostile

GHCR = (
    'Bearer realm="https://ghcr.io/token",service="ghcr.io",'
    'scope="repository:user/image:pull"'
)

parameter_names = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
values = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126))


LONG = f'Bearer realm="https://a/b",scope="{"repository:a/b:pull " * 100}"'


def docker_reads(line: str) -> tuple[str, dict[str, str]]:
    """Read one challenge as docker does: it stops at the first empty value."""
    scheme, _, rest = line.partition(" ")
    found = {}
    while match := re.match(r'\s*,?\s*([^=\s,]+)="((?:[^"\\]|\\.)*)"', rest):
        if not match[2]:
            break
        found[match[1]] = re.sub(r"\\(.)", r"\1", match[2])
        rest = rest[match.end() :]
    return scheme, found


class ParseTests(SynchronousTestCase):
    def check(self, value: str, *expected: tuple[str, dict[str, str]]) -> None:
        found = [(c.scheme, dict(c.parameters)) for c in parse_challenges([value])]
        self.assertEqual(found, list(expected), value)

    def test_registries(self) -> None:
        """The challenges of real registries."""
        self.check(
            GHCR,
            (
                "bearer",
                {
                    "realm": "https://ghcr.io/token",
                    "service": "ghcr.io",
                    "scope": "repository:user/image:pull",
                },
            ),
        )
        self.check(
            'Bearer realm="https://dockerauth.cn-hangzhou.aliyuncs.com/auth",'
            'service="registry.aliyuncs.com:cn-shenzhen:26842",'
            'scope="repository:acme_team/app:pull,push",error="insufficient_scope"',
            (
                "bearer",
                {
                    "realm": "https://dockerauth.cn-hangzhou.aliyuncs.com/auth",
                    "service": "registry.aliyuncs.com:cn-shenzhen:26842",
                    "scope": "repository:acme_team/app:pull,push",
                    "error": "insufficient_scope",
                },
            ),
        )
        self.check('Basic realm="Sonatype"', ("basic", {"realm": "Sonatype"}))

    def test_shapes(self) -> None:
        """Spaces, cases, tokens, quoted pairs, and several in one value."""
        for value, expected in (
            ("", []),
            ("Bearer", [("bearer", {})]),
            ("BEARER Realm=x", [("bearer", {"realm": "x"})]),
            (
                'Bearer realm = "x" ,\tservice\t=\ty',
                [("bearer", {"realm": "x", "service": "y"})],
            ),
            ('Bearer realm="a\\"b\\\\c"', [("bearer", {"realm": 'a"b\\c'})]),
            ('Bearer realm="x",error=""', [("bearer", {"realm": "x", "error": ""})]),
            (
                'Bearer realm="x",,service="y",',
                [("bearer", {"realm": "x", "service": "y"})],
            ),
            (
                'Bearer realm="x" service="y"',
                [("bearer", {"realm": "x", "service": "y"})],
            ),
            ('Bearer realm="x",realm="y"', [("bearer", {"realm": "x"})]),
            (
                'Bearer realm="Basic realm=x, y"',
                [("bearer", {"realm": "Basic realm=x, y"})],
            ),
            (
                'Bearer realm="x",service="y", Basic realm="z"',
                [("bearer", {"realm": "x", "service": "y"}), ("basic", {"realm": "z"})],
            ),
            (
                'Basic realm="z", Bearer realm="x"',
                [("basic", {"realm": "z"}), ("bearer", {"realm": "x"})],
            ),
            ("Basic, Bearer realm=x", [("basic", {}), ("bearer", {"realm": "x"})]),
            (
                'Negotiate oRQwEqADCgEBoQsGCSqGSIb3EgECAg==, Basic realm="z"',
                [("negotiate", {}), ("basic", {"realm": "z"})],
            ),
            ("Negotiate, NTLM", [("negotiate", {}), ("ntlm", {})]),
        ):
            self.check(value, *expected)

    def test_broken(self) -> None:
        """Reading ends where it makes no sense any more; the rest is kept."""
        for value, expected in (
            ('realm="x"', []),
            ('"Bearer" realm="x"', []),
            ("=", []),
            ('Bearer realm="x', [("bearer", {})]),
            ('Bearer realm="x",scope="y', [("bearer", {"realm": "x"})]),
            ('Bearer realm="x",scope="y\\', [("bearer", {"realm": "x"})]),
            ('Bearer realm="x",error=,scope="y"', [("bearer", {"realm": "x"})]),
            ('Bearer realm="x";scope="y"', [("bearer", {"realm": "x"})]),
        ):
            self.check(value, *expected)

    def test_again(self) -> None:
        """What was read before, and what is too long to be remembered, is the same."""
        for value in (GHCR, LONG):
            first, again = parse_challenges([value]), parse_challenges([value])
            self.assertEqual(first, again)
            self.assertEqual(first[0] is again[0], value is GHCR)

    def test_several_headers(self) -> None:
        """Each header line is read by itself, in order."""
        found = parse_challenges(['Basic realm="a"', "@", GHCR])
        self.assertEqual([c.scheme for c in found], ["basic", "bearer"])

    def test_time(self) -> None:
        """Values made to take long are read quickly."""
        for value in (
            'Bearer realm="' + "\\" * 50_001,
            "Bearer " + "a " * 25_000,
            "a" * 50_000 + '"',
            "Bearer " + "=" * 50_000,
            "Bearer a" + " " * 50_000 + '"',
        ):
            parse_challenges([value])

    @EXAMPLES
    @given(hostile)
    def test_anything(self, text: str) -> None:
        """Anything is read without an error; schemes and names are lower case."""
        for challenge in parse_challenges([text, "Bearer " + text]):
            self.assertEqual(challenge.scheme, challenge.scheme.lower())
            for name, _ in challenge.parameters:
                self.assertRegex(name, r"\A[^A-Z\s]+\Z")


class FindTests(SynchronousTestCase):
    def test_first_with_realm(self) -> None:
        """The first Bearer that has a realm is the one."""
        found = parse_challenges(
            ['Basic realm="a"', "Bearer", 'Bearer realm=""', 'Bearer realm="b"', GHCR]
        )
        bearer = find_bearer(found)
        assert bearer is not None
        self.assertEqual((bearer.realm, bearer.get("scope")), ("b", None))
        self.assertIsNone(find_bearer(found[:3]))
        self.assertIsNone(find_bearer(()))


class OursTests(SynchronousTestCase):
    """What is said here to clients without credentials."""

    def test_bearer(self) -> None:
        """The four parameters in their order; what there is nothing of is left out."""
        self.assertEqual(
            bearer_challenge("https://a.test/auth", "up", "registry:catalog:*", "e"),
            b'Bearer realm="https://a.test/auth",service="up",'
            b'scope="registry:catalog:*",error="e"',
        )
        self.assertEqual(
            bearer_challenge("https://a.test/auth", None),
            b'Bearer realm="https://a.test/auth"',
        )

    def test_unauthorized(self) -> None:
        """The error is 401 and has one header for each way to log in."""
        challenges = [bearer_challenge("r", "s"), basic_challenge("a.test")]
        error = unauthorized(challenges, "who are you?")
        self.assertEqual((error.status, error.message), (401, "who are you?"))
        self.assertEqual(
            error.headers,
            (
                (b"WWW-Authenticate", b'Bearer realm="r",service="s"'),
                (b"WWW-Authenticate", b'Basic realm="a.test"'),
            ),
        )


class FormatTests(SynchronousTestCase):
    def test_order(self) -> None:
        """The parameters stand in the order given, realm first."""
        self.assertEqual(
            format_challenge(
                "Bearer",
                [
                    ("realm", "https://registry.example.com/auth"),
                    ("service", "up"),
                    ("scope", "repository:team/app:pull,push repository:b:pull"),
                    ("error", "insufficient_scope"),
                ],
            ),
            b'Bearer realm="https://registry.example.com/auth",service="up",'
            b'scope="repository:team/app:pull,push repository:b:pull",'
            b'error="insufficient_scope"',
        )

    def test_no_empty_parameter(self) -> None:
        """What is empty, missing, or nothing but unprintable is left out."""
        for empty in (None, "", "é", "\r\n", "\0"):
            self.assertEqual(
                format_challenge(
                    "Bearer", [("realm", "x"), ("error", empty), ("scope", "y")]
                ),
                b'Bearer realm="x",scope="y"',
            )
        self.assertEqual(format_challenge("Basic", [("realm", "")]), b"Basic")

    def test_no_second_line(self) -> None:
        """Nothing that an upstream writes ends the header or the value."""
        line = format_challenge("Bearer", [("realm", 'x"\r\nSet-Cookie: a=b\\')])
        self.assertEqual(line, rb'Bearer realm="x\"Set-Cookie: a=b\\"')

    @EXAMPLES
    @given(st.dictionaries(parameter_names, values, max_size=4))
    def test_round_trip(self, parameters: dict[str, str]) -> None:
        """What is written is read again, but for what was empty."""
        line = format_challenge("Bearer", parameters.items()).decode()
        kept = {name: value for name, value in parameters.items() if value}
        self.assertEqual(
            parse_challenges([line]), (Challenge("bearer", tuple(kept.items())),)
        )
        self.assertEqual(docker_reads(line), ("Bearer", kept))

    @EXAMPLES
    @given(st.lists(st.tuples(parameter_names, hostile), max_size=4))
    def test_clients_read_all(self, parameters: list[tuple[str, str]]) -> None:
        """Whatever the values, docker reads as many parameters as were written."""
        line = format_challenge("Bearer", parameters).decode("ascii")
        self.assertNotRegex(line, r'[^ -~]|=""')
        _, found = docker_reads(line)
        self.assertEqual(
            set(found), {n for c in parse_challenges([line]) for n, _ in c.parameters}
        )
