"""Verification of JWTs, and attacks on it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.claims import parse_condition
from regbroker.accounts.identity.jwts import parse_unverified
from regbroker.accounts.identity.keys import MAX_WITHOUT_KID, IssuerKey, parse_key_set
from regbroker.accounts.identity.users import parse_group_template, parse_template
from regbroker.accounts.identity.verifier import Expected, Verifier
from regbroker.accounts.principals import Account, LoginRefused
from tests.issuers import (
    AUDIENCE,
    ISSUER,
    NOW,
    claims,
    ec_key,
    ed_key,
    encoded,
    jwk,
    jwks,
    raw_token,
    rsa_key,
    token,
)


def expected(**changed: Any) -> Expected:
    """What a section expects."""
    fields: dict[str, Any] = {
        "name": "ci",
        "issuer": ISSUER,
        "audience": (AUDIENCE,),
        "algorithms": ("RS256", "ES256", "EdDSA"),
        "leeway": 10.0,
        "required": (),
        "user": parse_template("ci:${sub}"),
        "groups": (),
        **changed,
    }
    return Expected(**fields)


class FixedKeys:
    """Keys that are always there."""

    def __init__(self, *entries: Mapping[str, Any]) -> None:
        self.keys = parse_key_set(jwks(*entries))

    async def find(self, kid: str | None, algorithm: str) -> tuple[IssuerKey, ...]:
        return self.keys.find(kid, algorithm)


class VerifierTestCase(SynchronousTestCase):
    def verify(self, text: str, what: Expected | None = None) -> Account:
        """The account that a token is for."""
        account: Account = self.successResultOf(self.verifying(text, what))
        return account

    def refusal(self, text: str, what: Expected | None = None) -> str:
        """Why a token is refused."""
        failure = self.failureResultOf(self.verifying(text, what), LoginRefused)
        self.assertNotIn(text.rpartition(".")[2] or "-", str(failure.value))
        return str(failure.value)

    def verifying(self, text: str, what: Expected | None) -> Deferred[Account]:
        keys = FixedKeys(
            jwk(ec_key()),
            jwk(rsa_key(), "rsa"),
            jwk(ed_key(), "ed"),
            jwk(ec_key("b"), "b"),
        )
        verifier = Verifier(what or expected(), keys, lambda: float(NOW))
        unverified = parse_unverified(text)
        assert unverified is not None
        return Deferred.fromCoroutine(verifier.account(text, unverified))


class GoodTests(VerifierTestCase):
    def test_algorithms(self) -> None:
        """Each kind of key, found by its kid."""
        for key, algorithm, kid in (
            (ec_key(), "ES256", "k1"),
            (rsa_key(), "RS256", "rsa"),
            (ed_key(), "EdDSA", "ed"),
            (ec_key("b"), "ES256", None),
        ):
            account = self.verify(token(claims(), key, algorithm, kid=kid))
            self.assertEqual(account.user, "ci:repo:acme/app")
            self.assertEqual((account.identity, account.expires), ("ci", NOW + 300))
            self.assertEqual(account.claims["sub"], "repo:acme/app")

    def test_claims_stay(self) -> None:
        """What was verified cannot be changed, and is not shown by mistake."""
        account = self.verify(token(claims(secret="x")))
        self.assertRaises(TypeError, self.change, account)
        self.assertNotIn("secret", repr(account))

    def change(self, account: Account) -> None:
        changed: Any = account.claims
        changed["sub"] = "other"

    def test_groups(self) -> None:
        """Groups are made of claims."""
        what = expected(groups=(parse_group_template("team:${groups}"),))
        account = self.verify(token(claims(groups=["a", "b"])), what)
        self.assertEqual(account.groups, {"team:a", "team:b"})
        self.assertEqual(self.verify(token(claims()), what).groups, frozenset())

    def test_types(self) -> None:
        """A JWT, an access token, or one that does not say."""
        for type in ("JWT", "jwt", "at+jwt", "application/at+jwt", None):
            self.verify(token(claims(), typ=type))


class FuzzTests(VerifierTestCase):
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=6,
    )
    headers = st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("alg", "kid", "typ", "crit", "jwk", "zip"), values)
    )
    payloads = st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("iss", "aud", "sub", "exp", "nbf", "iat"), values)
    )

    @given(headers, payloads)
    def test_signed_by_nobody(self, header: Any, payload: Any) -> None:
        """Whatever a token says, it is refused, and nothing else happens."""
        text = raw_token({"alg": "ES256", "kid": "k1", **header}, payload)
        self.refusal(text)

    @given(payloads)
    def test_signed(self, payload: Any) -> None:
        """Whatever an issuer signs, it is an account or a refusal."""
        content = {**claims(), **payload}
        verifying = self.verifying(token(content), None)
        outcome: list[Any] = []
        verifying.addBoth(outcome.append)
        if not isinstance(outcome[0], Account):
            outcome[0].trap(LoginRefused)

    @given(st.text(max_size=50) | st.binary(max_size=50).map(encoded))
    def test_no_jwts(self, text: str) -> None:
        """Any text has the form of a JWT, or has not."""
        parse_unverified(text)
        parse_unverified(f"{text}.{text}.{text}")


class AttackTests(VerifierTestCase):
    def test_none(self) -> None:
        """What nobody has signed is refused, however none is written."""
        for name in ("none", "None", "NONE", "nOnE", "", None, 7, ["ES256"]):
            for signature in (b"", b"x"):
                text = raw_token({"alg": name, "kid": "k1"}, claims(), signature)
                self.assertIn("alg is", self.refusal(text))

    def test_confusion(self) -> None:
        """A public key is no secret for HMAC, and no key of another kind."""
        public = rsa_key().public_key()
        for format in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
            secret = public.public_bytes(Encoding.PEM, format)
            head, _, _ = raw_token({"alg": "HS256", "kid": "rsa"}, claims()).rpartition(
                "."
            )
            digest = hmac.digest(secret, head.encode(), hashlib.sha256)
            self.assertIn("alg is", self.refusal(f"{head}.{encoded(digest)}"))
        for algorithm, kid in (("RS256", "k1"), ("ES256", "rsa"), ("EdDSA", "k1")):
            text = raw_token({"alg": algorithm, "kid": kid}, claims())
            self.assertIn("has no", self.refusal(text))

    def test_without_kid(self) -> None:
        """Where there are too many keys to try, or none, the log says that."""
        many = FixedKeys(*(jwk(ec_key(), f"k{n}") for n in range(MAX_WITHOUT_KID + 1)))
        verifier = Verifier(expected(), many, lambda: float(NOW))
        for key, algorithm in ((ec_key(), "ES256"), (rsa_key(), "RS256")):
            text = token(claims(), key, algorithm, kid=None)
            unverified = parse_unverified(text)
            assert unverified is not None
            work = Deferred.fromCoroutine(verifier.account(text, unverified))
            self.assertEqual(
                str(self.failureResultOf(work, LoginRefused).value),
                f"it has no kid, and the issuer has no {algorithm} key, or more than 4",
            )

    def test_key_in_the_token(self) -> None:
        """A key, or where one is, in the header counts for nothing."""
        stranger = ec_key("stranger")
        for more in (
            {"jwk": jwk(stranger)},
            {"jku": "https://evil.test/keys"},
            {"x5u": "https://evil.test/cert"},
            {"x5c": ["AAAA"]},
        ):
            text = token(claims(), stranger, **more)
            self.assertEqual(self.refusal(text), "the signature is wrong")

    def test_signature(self) -> None:
        """Other keys, a changed claim, a cut or an empty signature."""
        good = token(claims())
        head, payload, signature = good.split(".")
        other = token(claims(sub="repo:evil/app")).split(".")[1]
        for text in (
            token(claims(), ec_key("stranger")),
            token(claims(), ec_key("b"), kid="k1"),
            f"{head}.{other}.{signature}",
            f"{head}.{payload}.{signature[:-4]}",
            f"{head}.{payload}.",
            f"{head}.{payload}.{encoded(bytes(64))}",
        ):
            self.assertEqual(self.refusal(text), "the signature is wrong")

    def test_header(self) -> None:
        """Extensions that nobody knows, other kinds of tokens, and odd kids."""
        for header, reason in (
            ({"crit": ["exp"]}, "extension"),
            ({"b64": False}, "extension"),
            ({"typ": "logout+jwt"}, "typ"),
            ({"typ": ["JWT"]}, "typ"),
            ({"kid": 7}, "kid is no text"),
            ({"kid": "unknown"}, "no ES256 key"),
            ({"kid": "x" * 100_000}, "characters"),
            ({"kid": "../../etc/passwd"}, "no ES256 key"),
        ):
            text = raw_token({"alg": "ES256", "kid": "k1", **header}, claims())
            self.assertIn(reason, self.refusal(text))

    def test_claims(self) -> None:
        """Wrong registered claims, each signed as it should be."""
        for changed, reason in (
            ({"aud": "other.test"}, "aud is"),
            ({"iss": "https://issuer.test/"}, "iss is"),
            ({"exp": NOW - 60}, "expired"),
            ({"nbf": NOW + 60}, "nbf"),
            ({"sub": ["repo:acme/app"]}, "sub is"),
        ):
            self.assertIn(reason, self.refusal(token(claims(**changed))))

    def test_users(self) -> None:
        """Claims that make no user are named; none makes somebody else's."""
        what = expected(user=parse_template("ci:${repository}"))
        for value in (["acme/app"], {"a": "b"}, 1.5, "x" * 20_000, ""):
            self.assertIn(
                "repository", self.refusal(token(claims(repository=value)), what)
            )
        for value in (
            "../acme",
            "acme/app:x",
            "*",
            "acme/app\nx",
            "acme%2Fapp",
            "${sub}",
        ):
            user = self.verify(token(claims(repository=value)), what).user
            self.assertNotEqual(user, "ci:acme/app")
            self.assertRegex(user, r"^ci:[!-~]+$")

    def test_required(self) -> None:
        """What a section requires must be so."""
        what = expected(required=(parse_condition("repository_owner=acme"),))
        for value in (None, "evil", "Acme", "acme ", ["evil"], {"acme": "acme"}):
            text = token(claims(repository_owner=value))
            self.assertIn("required-claims", self.refusal(text, what))
        self.verify(token(claims(repository_owner="acme")), what)

    def test_long(self) -> None:
        """A claim of 1 MiB is not even verified."""
        self.assertIn("characters", self.refusal(token(claims(x="x" * 1_048_576))))
