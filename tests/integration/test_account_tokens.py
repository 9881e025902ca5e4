"""Tokens of our own: what they are, and what becomes of them."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from pathlib import Path
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .accounts_case import PASSWORDS, SOON_SECONDS, WRONG, BareRegistryTestCase
from .peers.https_client import Reply, bearer
from .peers.processes import poll
from .peers.signing import claims_of

PULL = "repository:team/app:pull"
TAGS = "/v2/team/app/tags/list"


def write_keys(path: Path, *keys: ec.EllipticCurvePrivateKey) -> None:
    """Write private keys as PEM, one after the other, in place of what was there."""
    pem = b"".join(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        for key in keys
    )
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(pem)
    new.replace(path)


def make_key() -> ec.EllipticCurvePrivateKey:
    """A key for tokens."""
    return ec.generate_private_key(ec.SECP256R1())


class TokenTests(BareRegistryTestCase):
    """Access tokens, good ones and others."""

    def setUp(self) -> None:
        super().setUp()
        self.put_upstream(self.make_image(), "acme_team/app:1")

    def assert_taken(self, header: dict[str, str]) -> None:
        """The token is good."""
        reply = self.get(TAGS, header)
        self.assertEqual(reply.status, 200, reply)

    def assert_not_taken(self, token: str) -> None:
        """The token is none, which is told from having too little access."""
        self.add_secret(token)
        for target in (TAGS, "/v2/"):
            reply = self.get(target, bearer(token))
            self.assert_oci_error(reply, 401, "UNAUTHORIZED")
            self.assertEqual(reply.challenge()["error"], "invalid_token")
            self.assertNotIn(token.encode(), reply.body)

    def test_reply(self) -> None:
        """It is as the token specification has it, and the claims are, too."""
        reply = self.ask_token("alice", PULL)
        document = reply.json()
        self.assertEqual(document["token"], document["access_token"])
        self.assertEqual(document["expires_in"], 300)
        self.assertRegex(document["issued_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertNotIn("refresh_token", document)
        self.assertEqual(reply.one("Cache-Control"), "no-store")
        claims = claims_of(document["token"])
        self.assertEqual(claims["iss"], "regbroker localhost")
        self.assertEqual(claims["sub"], "alice")
        self.assertEqual(claims["aud"], "localhost")
        self.assertEqual(claims["exp"] - claims["iat"], 300)
        self.assertLess(abs(claims["iat"] - time.time()), 30)
        self.assertLessEqual(claims["nbf"], claims["iat"])
        self.assertTrue(claims["jti"])
        entry = {"type": "repository", "name": "team/app", "actions": ["pull"]}
        self.assertEqual(claims["access"], [entry])

    def test_login(self) -> None:
        """No scope at all is a login."""
        reply = self.ask_token("alice", account="alice", client_id="docker")
        self.assertEqual(self.granted(reply), {})
        refused = self.ask_token("alice", password=WRONG)
        self.assert_oci_error(refused, 401, "UNAUTHORIZED")
        self.assertEqual(self.get("/v2/", bearer(reply.json()["token"])).status, 200)

    def test_tampered(self) -> None:
        """Nothing about a token can be changed."""
        good = self.token("bob", PULL)
        self.assert_taken(good)
        text = good["Authorization"].removeprefix("Bearer ")
        head, body, signature = text.split(".")
        claims = claims_of(text)
        claims["access"][0]["actions"] = ["pull", "push"]
        forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
        last = "A" if signature[5] != "A" else "B"
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=")
        for token in (
            f"{head}.{forged.decode()}.{signature}",
            f"{head}.{body}.{signature[:5]}{last}{signature[6:]}",
            f"{head}.{body}.",
            f"{none.decode()}.{body}.",
            f"{none.decode()}.{forged.decode()}.{signature}",
            f"{body}.{head}.{signature}",
            "nonsense",
            "a.b.c",
        ):
            self.assert_not_taken(token)
        self.assert_taken(good)

    def test_signed_by_somebody_else(self) -> None:
        """The right claims under another key, even one that calls itself ours."""
        text = self.token("bob", PULL)["Authorization"].removeprefix("Bearer ")
        header = {"typ": "JWT", "kid": jwt.get_unverified_header(text)["kid"]}
        for headers in (header, {**header, "jwk": {"kty": "EC"}}, {"typ": "JWT"}):
            self.assert_not_taken(
                jwt.encode(claims_of(text), make_key(), "ES256", headers)
            )
        # what is public taken for a secret
        self.assert_not_taken(jwt.encode(claims_of(text), "k" * 32, "HS256", header))

    def test_identity_token_on_the_api(self) -> None:
        """It stands for a password, not for access."""
        reply = self.ask_token("alice", PULL, offline_token="true")
        self.assert_not_taken(reply.json()["refresh_token"])
        refused = self.post_token(
            grant_type="refresh_token", refresh_token=reply.json()["token"]
        )
        self.assert_oci_error(refused, 401, "UNAUTHORIZED")

    def test_restart(self) -> None:
        """The key stays: a token outlives the process that has made it."""
        header = self.token("alice", PULL)
        key = self.regbroker.directory / "state" / "token-key.pem"
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        self.regbroker.stop()
        self.regbroker.start()
        self.use(self.regbroker)
        self.assert_taken(header)


class SharedKeyTests(TokenTests):
    """A key in a file, which machines share and which is replaced some day.

    With it, everything about tokens holds as with the key that regbroker made.
    """

    def start_regbroker(self) -> None:
        self.key = make_key()
        self.key_file = self.directory / "signing-key.pem"
        write_keys(self.key_file, self.key)
        self.main = f"signing-key = {self.key_file}"
        self.start_with()

    def start_with(self, name: str = "regbroker", registry: str = "") -> None:
        """Start one more regbroker and ask it from now on."""
        self.use(self.start_local(self.sections(registry=registry), name))

    def test_restart(self) -> None:
        """Nothing is made in the state directory."""
        header = self.token("alice", PULL)
        key = self.regbroker.directory / "state" / "token-key.pem"
        self.assertFalse(key.exists())
        self.regbroker.stop()
        self.regbroker.start()
        self.use(self.regbroker)
        self.assert_taken(header)

    def test_two_machines(self) -> None:
        """Each takes the other's tokens, identity tokens too."""
        first = self.regbroker
        reply = self.ask_token("alice", PULL, offline_token="true")
        header = bearer(reply.json()["token"])
        self.start_with("second")
        self.assert_taken(header)
        renewed = self.post_token(
            grant_type="refresh_token",
            refresh_token=reply.json()["refresh_token"],
            scope=PULL,
        )
        header = bearer(renewed.json()["token"])
        self.use(first)
        self.assert_taken(header)

    def test_expired(self) -> None:
        """Past its end a token is none, whoever has made it."""
        self.start_with("short", "token-life = 60")
        text = self.token("bob", PULL)["Authorization"].removeprefix("Bearer ")
        claims = claims_of(text)
        self.assertEqual(claims["exp"] - claims["iat"], 60)
        header = jwt.get_unverified_header(text)

        def signed(seconds: int) -> str:
            moved = {name: claims[name] + seconds for name in ("exp", "nbf", "iat")}
            return jwt.encode({**claims, **moved}, self.key, "ES256", header)

        self.assert_not_taken(signed(-75))
        self.assert_not_taken(signed(3600))
        self.assert_taken(bearer(signed(0)))

    def test_other_claims(self) -> None:
        """Another registry's tokens, and another issuer's, under the same key."""
        text = self.token("alice", PULL)["Authorization"].removeprefix("Bearer ")
        claims, header = claims_of(text), jwt.get_unverified_header(text)
        for change in ({"aud": "other.example"}, {"iss": "somebody"}, {"exp": None}):
            self.assert_not_taken(
                jwt.encode({**claims, **change}, self.key, "ES256", header)
            )
        self.assert_taken(bearer(jwt.encode(claims, self.key, "ES256", header)))

    def test_rotation(self) -> None:
        """Old and new tokens are good, all the way from one key to the other."""
        old, new = self.key, make_key()
        kid = jwt.get_unverified_header(self.text())["kid"]
        first = self.token("alice", PULL)
        write_keys(self.key_file, old, new)
        added = bearer(
            jwt.encode(
                claims_of(self.text()), new, "ES256", {"typ": "JWT", "kid": kid_of(new)}
            )
        )
        # a machine that signs with the new one already is believed at once
        self.assert_taken(added)
        self.assertEqual(jwt.get_unverified_header(self.text())["kid"], kid)
        write_keys(self.key_file, new, old)
        poll(
            lambda: jwt.get_unverified_header(self.text())["kid"] == kid_of(new),
            "the new key to sign",
            SOON_SECONDS,
        )
        second = self.token("alice", PULL)
        self.assert_taken(first)
        self.assert_taken(second)
        # With a third key it is seen that the file without the old one has been read.
        newest = make_key()
        write_keys(self.key_file, newest, new)
        poll(
            lambda: jwt.get_unverified_header(self.text())["kid"] == kid_of(newest),
            "the newest key to sign",
            SOON_SECONDS,
        )
        self.assert_taken(first)
        self.assert_taken(second)

    def test_replaced_in_one_step(self) -> None:
        """Live tokens outlast even a key that is simply another."""
        before = self.token("alice", PULL)
        kid = jwt.get_unverified_header(self.text())["kid"]
        write_keys(self.key_file, make_key())
        poll(
            lambda: jwt.get_unverified_header(self.text())["kid"] != kid,
            "the new key to sign",
            SOON_SECONDS,
        )
        self.assert_taken(before)
        self.assert_taken(self.token("alice", PULL))

    def test_damaged(self) -> None:
        """A file that is no key any more leaves the one that was in it."""
        header = self.token("alice", PULL)
        self.key_file.write_text("-----BEGIN PRIVATE KEY-----\nfor now\n")
        poll(
            lambda: self.token("alice", PULL) and "signing-key" in self.regbroker.log(),
            "the complaint in the log",
            SOON_SECONDS,
        )
        self.assert_taken(header)
        self.assert_taken(self.token("alice", PULL))

    def text(self) -> str:
        """A new token."""
        return self.token("bob", PULL)["Authorization"].removeprefix("Bearer ")


def kid_of(key: ec.EllipticCurvePrivateKey) -> str:
    """RFC 7638: how regbroker calls a key."""
    numbers = key.public_key().public_numbers()
    x, y = (
        base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
        for number in (numbers.x, numbers.y)
    )
    text = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class IdentityTokenTests(BareRegistryTestCase):
    """What clients keep instead of a password."""

    def identity(self, user: str = "alice", password: str | None = None) -> str:
        """A new identity token."""
        reply = self.ask_token(user, password=password, offline_token="true")
        self.assertEqual(reply.status, 200, reply)
        token: str = reply.json()["refresh_token"]
        return token

    def renew(self, identity: str, *scopes: str) -> Reply:
        """Ask for an access token with it."""
        return self.post_token(
            grant_type="refresh_token", refresh_token=identity, scope=" ".join(scopes)
        )

    def test_get(self) -> None:
        """`offline_token=true` brings one, and it brings access tokens."""
        both = self.renew(self.identity(), "repository:team/app:pull,push,delete")
        self.assertEqual(self.granted(both), {"repository:team/app": ["pull", "push"]})
        self.assertEqual(both.json()["scope"], "repository:team/app:pull,push")
        again = self.renew(self.identity(), "repository:lib/closed:pull")
        self.assertEqual(self.granted(again), {"repository:lib/closed": ["pull"]})

    def test_post(self) -> None:
        """`grant_type=password` with `access_type=offline` brings one, too."""
        form = {"username": "bob", "password": PASSWORDS["bob"]}
        plain = self.post_token(grant_type="password", **form)
        self.assertNotIn("refresh_token", plain.json())
        reply = self.post_token(grant_type="password", access_type="offline", **form)
        self.assertEqual(claims_of(reply.json()["access_token"])["sub"], "bob")
        renewed = self.renew(
            reply.json()["refresh_token"], "repository:team/app:pull,push"
        )
        self.assertEqual(self.granted(renewed), {"repository:team/app": ["pull"]})
        wrong = self.post_token(
            grant_type="password", username="bob", password="not bob's"
        )
        self.assert_oci_error(wrong, 401, "UNAUTHORIZED")

    def test_nobody_gets_one(self) -> None:
        """Nothing to keep for who brings nothing."""
        reply = self.ask_token("", offline_token="true")
        self.assertNotIn("refresh_token", reply.json())

    def test_skopeo(self) -> None:
        """skopeo pushes and pulls with nothing else."""
        image, skopeo = self.make_image(), self.make_skopeo()
        skopeo.use_identity_token(self.host, self.identity())
        reference = f"{self.host}/team/app:1"
        self.assert_done(skopeo.push(image.source, reference))
        self.assertEqual(skopeo.digest_of(reference), image.digest)

    def test_containerd(self) -> None:
        """ctr pulls with nothing else."""
        image = self.make_image()
        self.put_upstream(image, "acme_team/app:1")
        containerd = self.start_containerd()
        containerd.trust(self.host)
        reference = f"{self.host}/team/app:1"
        done = containerd.pull(reference, "--refresh", self.identity("bob"))
        self.assert_done(done)

    def test_dies_with_the_password(self) -> None:
        """It dies when the password changes, also to the same one, and with the user.

        Another user's is not touched.
        """
        alice, bob = self.identity("alice"), self.identity("bob")
        self.set_password("alice", "another one")
        self.assert_dies(alice)
        self.assertEqual(self.renew(bob).status, 200)
        alice = self.identity("alice", "another one")
        self.assertEqual(self.renew(alice).status, 200)
        self.htpasswd.remove("alice")
        self.assert_dies(alice)
        self.assertEqual(self.renew(bob).status, 200)

    def assert_dies(self, identity: str) -> None:
        """Within seconds it is refused, and with a 401 that skopeo understands."""
        poll(
            lambda: self.renew(identity).status != 200,
            "the identity token's death",
            SOON_SECONDS,
        )
        self.assert_oci_error(self.renew(identity), 401, "UNAUTHORIZED")

    def test_tampered(self) -> None:
        """Another's name in it, or something else altogether."""
        head, _, signature = self.identity("bob").split(".")
        claims = claims_of(self.identity("bob"))
        claims["sub"] = "alice"
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
        for token in (f"{head}.{body.decode()}.{signature}", "nonsense", "ü"):
            self.assert_oci_error(self.renew(token), 401, "UNAUTHORIZED")


class TwoRegistriesTests(BareRegistryTestCase):
    """Two registries with the same accounts and key, one regbroker."""

    def start_regbroker(self) -> None:
        sections = self.sections()
        start, end = sections.index("[registry"), sections.index("[upstream")
        other = sections[start:end].replace("localhost", "127.0.0.1")
        self.use(self.start_local(sections + other))

    def test_audience(self) -> None:
        """A token of the one is none at the other; an identity token neither."""
        self.put_upstream(self.make_image(), "acme_team/app:1")
        other = {"Host": f"127.0.0.1:{self.regbroker.port}"}
        reply = self.ask_token("alice", PULL, offline_token="true")
        header = bearer(reply.json()["token"])
        self.assertEqual(self.get(TAGS, header).status, 200)
        refused = self.get(TAGS, header | other)
        self.assert_oci_error(refused, 401, "UNAUTHORIZED")
        self.assertEqual(
            refused.challenge(),
            {
                "realm": f"https://{other['Host']}/auth",
                "service": "127.0.0.1",
                "scope": PULL,
                "error": "invalid_token",
            },
        )
        form = urlencode(
            {
                "grant_type": "refresh_token",
                "refresh_token": reply.json()["refresh_token"],
                # what a client says about it changes nothing
                "service": "localhost",
            }
        ).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        refused = self.https.request("POST", "/auth", other | kind, form)
        self.assert_oci_error(refused, 401, "UNAUTHORIZED")
