"""Our tokens, signed and verified, with keys that come and go."""

import base64
import hmac
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts import signing
from regbroker.accounts.key_file import make_key, parse_keys, thumbprint
from regbroker.accounts.signing import SigningKeys, TokenSigner
from regbroker.accounts.tokens import (
    ACCESS_LIFE,
    IDENTITY_LIFE,
    LEEWAY,
    InvalidToken,
    Robot,
    Vouched,
)
from regbroker.errors import BadRequest, StateError
from regbroker.protocol.scopes import parse_scopes
from tests.accounts.test_key_file import new_key, pem, public_pem

ONE, TWO = new_key(), new_key()
HOST = "registry.example.com"
ACCESS = parse_scopes(["repository:team/app:pull,push"])
START = 1_700_000_000.5


def segment(value: Any) -> str:
    """A part of a JWT: JSON in base64url."""
    text = json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def opened(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a JWT."""
    header, claims, _ = text.split(".")
    return (
        json.loads(base64.urlsafe_b64decode(header + "==")),
        json.loads(base64.urlsafe_b64decode(claims + "==")),
    )


class KeysCase(SynchronousTestCase):
    """A key file, a clock, and a signer."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.write(ONE)
        self.clock = Clock()
        self.clock.advance(START)
        self.signer = self.process()

    def write(self, *keys: ec.EllipticCurvePrivateKey) -> None:
        """Put another file with these keys in its place."""
        new = self.path.with_name("new")
        new.touch(0o600)
        new.write_bytes(b"".join(map(pem, keys)))
        os.utime(new, (0, 0))
        new.replace(self.path)

    def process(self, **options: Any) -> TokenSigner:
        """What another process or machine with the same file has."""
        keys = SigningKeys(self.path, self.clock.seconds)
        return TokenSigner(keys, "regbroker", self.clock.seconds, **options)

    def issue(self, signer: TokenSigner | None = None) -> str:
        """A token for alice."""
        return (signer or self.signer).issue_access("alice", HOST, ACCESS)

    def refused(self, text: str, signer: TokenSigner | None = None) -> str | None:
        """Why a token is no good; None if it is."""
        try:
            (signer or self.signer).check_access(text, HOST)
        except InvalidToken as error:
            return str(error)
        return None


class TokenSignerTests(KeysCase):
    def test_access(self) -> None:
        """A token says what was granted, for five minutes."""
        token = self.signer.check_access(self.issue(), HOST)
        self.assertEqual((token.user, token.audience), ("alice", HOST))
        self.assertEqual(token.access, ACCESS)
        self.assertEqual(token.issued, int(START))
        self.assertEqual(token.expires, int(START) + 300)

    def test_header(self) -> None:
        """The header is what the token specification has in it."""
        self.assertEqual(
            opened(self.issue())[0],
            {"typ": "JWT", "alg": "ES256", "kid": thumbprint(ONE.public_key())},
        )

    def test_others_can_verify(self) -> None:
        """A registry that knows the public key can read the token."""
        claims = jwt.decode(
            self.issue(),
            ONE.public_key(),
            algorithms=["ES256"],
            audience=HOST,
            issuer="regbroker",
            options={"verify_exp": False},
        )
        self.assertEqual(claims["sub"], "alice")

    def test_identity(self) -> None:
        """An identity token carries the password version, for thirty days."""
        text = self.signer.issue_identity("alice", HOST, "s1", "docker")
        token = self.signer.check_identity(text, HOST)
        self.assertEqual((token.user, token.password_version), ("alice", "s1"))
        self.assertEqual(token.client_id, "docker")
        self.assertEqual(token.expires - token.issued, 30 * 86400)

    def test_kinds_are_apart(self) -> None:
        """No kind is taken for another, remembered or not."""
        signer = self.signer
        texts = {
            signer.check_access: self.issue(),
            signer.check_identity: signer.issue_identity("alice", HOST, "s1"),
            signer.check_robot: signer.issue_robot("alice", HOST, ("a: pull",), 60)[0],
        }
        for _ in range(2):
            for check, own in texts.items():
                check(own, HOST)
                for text in set(texts.values()) - {own}:
                    with self.assertRaises(InvalidToken) as caught:
                        check(text, HOST)
                    said = str(caught.exception)
                    self.assertEqual(said, "the token is of another kind")

    def test_robot(self) -> None:
        """A robot token has its rights, and lives as long as is said."""
        text, told = self.signer.issue_robot("deploy", HOST, ("a: pull",), 3600)
        token = self.signer.check_robot(text, HOST)
        self.assertEqual(token, told)
        self.assertEqual((token.user, token.rights), ("deploy", ("a: pull",)))
        self.assertEqual(token.expires - token.issued, 3600)
        self.assertEqual(opened(text)[0]["typ"], "robot+jwt")
        self.assertRegex(token.id, "^[0-9a-f]{20}$")

    def test_for_a_robot_token(self) -> None:
        """An access token carries the robot token's id and rights."""
        robot = Robot("r1", ("a: pull",))
        text = self.signer.issue_access("deploy", HOST, ACCESS, robot=robot)
        self.assertEqual(self.signer.check_access(text, HOST).robot, robot)

    def test_lives(self) -> None:
        """How long access tokens live can be said; identity tokens live for 30 days."""
        signer = self.process(access_life=60)
        self.assertEqual(signer.access_life, 60)
        token = signer.check_access(self.issue(signer), HOST)
        self.assertEqual(token.expires - token.issued, 60)
        identity = signer.check_identity(signer.issue_identity("a", HOST, "s"), HOST)
        self.assertEqual(identity.expires - identity.issued, 30 * 86400)

    def test_every_token_has_its_id(self) -> None:
        """Two tokens for the same are two tokens."""
        self.assertNotEqual(self.issue(), self.issue())

    def test_expires(self) -> None:
        """A token ends, remembered or not."""
        text = self.issue()
        self.clock.advance(ACCESS_LIFE + LEEWAY - 1)
        self.assertIsNone(self.refused(text))
        self.clock.advance(1)
        self.assertEqual(self.refused(text), "the token has expired")
        self.assertEqual(self.refused(text, self.process()), "the token has expired")

    def test_vouched_expires(self) -> None:
        """What an issuer has vouched for ends with that, remembered or not."""
        end = START + 20.5
        text = self.signer.issue_access(
            "ci:x", HOST, (), vouched=Vouched("ci", expires=end), not_after=end
        )
        self.clock.advance(end - 0.25 - START)
        self.assertIsNone(self.refused(text))
        self.clock.advance(0.25)
        self.assertEqual(self.refused(text), "the token has expired")
        self.assertEqual(self.refused(text, self.process()), "the token has expired")

    def test_not_yet(self) -> None:
        """A token from a machine whose clock is well ahead is no good."""
        self.clock.advance(LEEWAY + 2)
        text = self.issue()
        self.clock.rightNow = START
        self.assertEqual(self.refused(text), "the token is not good yet")

    def test_elsewhere(self) -> None:
        """A token for one service is none for another, remembered or not."""
        text = self.issue()
        for _ in range(2):
            with self.assertRaisesRegex(InvalidToken, "for another service"):
                self.signer.check_access(text, "other.example.com")
            self.assertIsNone(self.refused(text))

    def test_other_issuer(self) -> None:
        """Who shares the key, but not the name, is somebody else."""
        keys = SigningKeys(self.path, self.clock.seconds)
        other = TokenSigner(keys, "another", self.clock.seconds)
        text = self.issue(other)
        self.assertEqual(self.refused(text), "the token is somebody else's")

    def test_too_long(self) -> None:
        """What no client could send is not made."""
        names = ["repository:" + "a" * 1000 + f"{n}:pull" for n in range(60)]
        with self.assertRaisesRegex(BadRequest, "ask for less"):
            self.signer.issue_access("alice", HOST, parse_scopes(names))


class ForgeryTests(KeysCase):
    def forged(self, header: Any, claims: Any, key: Any = ONE) -> str:
        """A token with this header, signed with P-256 whatever it says."""
        body = f"{segment(header)}.{segment(claims)}"
        signature = jwt.get_algorithm_by_name("ES256").sign(body.encode(), key)
        return f"{body}.{base64.urlsafe_b64encode(signature).decode()[:86]}"

    def test_forged_is_good_when_it_is_right(self) -> None:
        """The tests below fail for the reason that they name."""
        self.assertIsNone(self.refused(self.forged(*opened(self.issue()))))

    def test_algorithms(self) -> None:
        """ES256 and nothing else, whatever the token says."""
        header, claims = opened(self.issue())
        for alg in ("none", "None", "", None, "HS256", "ES384", "RS256", ["ES256"]):
            text = self.forged({**header, "alg": alg}, claims)
            self.assertIsNotNone(self.refused(text), alg)
        del header["alg"]
        self.assertIsNotNone(self.refused(self.forged(header, claims)))

    def test_none(self) -> None:
        """A token without signature is no token."""
        header, claims = opened(self.issue())
        for signature in ("", "AA", self.issue().rsplit(".", 1)[1]):
            body = f"{segment({**header, 'alg': 'none'})}.{segment(claims)}"
            self.assertIsNotNone(self.refused(f"{body}.{signature}"))

    def test_public_key_as_secret(self) -> None:
        """The public key is no secret to sign with (alg confusion)."""
        header, claims = opened(self.issue())
        body = f"{segment({**header, 'alg': 'HS256'})}.{segment(claims)}"
        der = ONE.public_key().public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        for secret in (public_pem(ONE), public_pem(ONE).strip(), der):
            mac = hmac.digest(secret, body.encode(), "sha256")
            signature = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
            self.assertIsNotNone(self.refused(f"{body}.{signature}"))

    def test_foreign_keys(self) -> None:
        """A key that the token brings or points at is never used."""
        header, claims = opened(self.issue())
        numbers = TWO.public_key().public_numbers()
        jwk = {
            "kty": "EC",
            "crv": "P-256",
            "x": base64.urlsafe_b64encode(numbers.x.to_bytes(32, "big")).decode(),
            "y": base64.urlsafe_b64encode(numbers.y.to_bytes(32, "big")).decode(),
        }
        extras: list[dict[str, Any]] = [
            {},
            {"jwk": jwk},
            {"jku": "https://evil.example.com/keys"},
            {"kid": thumbprint(TWO.public_key())},
            {"kid": "../../dev/null"},
            {"kid": None},
            {"kid": [header["kid"]]},
            {"kid": {}},
        ]
        for extra in extras:
            text = self.forged({**header, **extra}, claims, TWO)
            self.assertIsNotNone(self.refused(text), extra)
        del header["kid"]
        self.assertIsNotNone(self.refused(self.forged(header, claims)))

    def test_critical(self) -> None:
        """What a token calls critical and we do not know, we do not take."""
        header, claims = opened(self.issue())
        for extra in (
            {"crit": ["exp"]},
            {"crit": ["b64"], "b64": False},
            {"b64": False},
        ):
            text = self.forged({**header, **extra}, claims)
            self.assertIsNotNone(self.refused(text), extra)

    def test_changed(self) -> None:
        """A token that was signed and then changed is no token."""
        header, claims = opened(self.issue())
        _, _, signature = self.issue().split(".")
        for changed in (
            f"{segment(header)}.{segment({**claims, 'sub': 'root'})}.{signature}",
            f"{segment({**header, 'typ': 'identity+jwt'})}."
            f"{segment(claims)}.{signature}",
        ):
            self.assertIsNotNone(self.refused(changed))

    def test_signed_but_strange(self) -> None:
        """What our key has signed is not thereby a token."""
        header, _ = opened(self.issue())
        payloads: list[Any] = [[], "a", 1, None, {}, {"access": []}]
        for payload in payloads:
            self.assertIsNotNone(self.refused(self.forged(header, payload)))
        keys = SigningKeys(self.path, self.clock.seconds)
        for contents in (b"", b"\xff", b"{"):
            self.assertIsNotNone(self.refused(keys.sign("JWT", contents)))

    def test_no_tokens(self) -> None:
        """What is no JWT at all is refused, in any script and of any size."""
        good = self.issue()
        for text in (
            "",
            ".",
            "..",
            "...",
            good[:-1],
            good + "A" * 4,
            good + ".",
            good + "é",
            "\udcff" + good,
            "a" * 100_000,
            f"{'W' * 20_000}..",
            f"{segment([])}.{segment({})}.AAAA",
            good.replace(".", ".."),
        ):
            self.assertIsNotNone(self.refused(text), text[:40])

    def test_errors_do_not_tell_the_token(self) -> None:
        """The reason for a refusal may go into a log."""
        good = self.issue()
        for text in (good[:-4] + "AAAA", good + "é", good.partition(".")[2]):
            reason = self.refused(text)
            assert reason is not None
            self.assertNotIn(good[5:15], reason)


class FuzzTests(SynchronousTestCase):
    def setUp(self) -> None:
        path = make_key(Path(self.mktemp()))
        keys = SigningKeys(path, lambda: START)
        self.signer = TokenSigner(keys, "regbroker", lambda: START)
        self.good = self.signer.issue_access("alice", HOST, ACCESS)

    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """Whatever is done to a token: the same claims, or `InvalidToken`."""
        place = data.draw(st.integers(0, len(self.good)))
        length = data.draw(st.integers(0, 40))
        other = data.draw(st.text() | st.from_regex(r"[A-Za-z0-9_.=-]*"))
        text = self.good[:place] + other + self.good[place + length :]
        try:
            token = self.signer.check_access(text, HOST)
        except InvalidToken:
            return
        # base64 has more than one way to write the last bits
        self.assertEqual(token.user, "alice")
        self.assertEqual(token.access, ACCESS)


class RememberingTests(KeysCase):
    def setUp(self) -> None:
        super().setUp()
        self.verified = 0
        verify = SigningKeys.verify

        def counted(keys: SigningKeys, text: str) -> tuple[str, object, bytes]:
            self.verified += 1
            return verify(keys, text)

        self.patch(SigningKeys, "verify", counted)

    def test_once(self) -> None:
        """A token that comes again is not verified again."""
        text = self.issue()
        first = self.signer.check_access(text, HOST)
        for _ in range(100):
            self.assertIs(self.signer.check_access(text, HOST), first)
        self.assertEqual(self.verified, 1)

    def test_bad_ones_are_not_remembered(self) -> None:
        """Strangers cannot fill our memory."""
        expired, forged = self.issue(), self.issue()[:-4] + "AAAA"
        self.clock.advance(ACCESS_LIFE + LEEWAY)
        for text in (expired, forged, "a.b.c"):
            self.assertIsNotNone(self.refused(text))
        self.assertEqual(len(self.signer._verified), 0)

    def test_bounded(self) -> None:
        """What has been asked for longest ago is forgotten first."""
        self.patch(signing, "MAX_REMEMBERED", 2)
        self.signer = self.process()
        one, two, three = self.issue(), self.issue(), self.issue()
        for text in (one, two, one, three, one):
            self.assertIsNone(self.refused(text))
        self.assertEqual(self.verified, 3)
        self.assertIsNone(self.refused(two))
        self.assertEqual(self.verified, 4)

    def test_bounded_in_bytes(self) -> None:
        """Long tokens are not remembered by the thousand."""
        self.patch(signing, "MAX_REMEMBERED_BYTES", int(2.5 * len(self.issue())))
        self.signer = self.process()
        for _ in range(5):
            self.assertIsNone(self.refused(self.issue()))
        self.assertEqual(len(self.signer._verified), 2)

    def test_forgotten_when_expired(self) -> None:
        """An expired token leaves when it is shown."""
        text = self.issue()
        self.refused(text)
        self.clock.advance(ACCESS_LIFE + LEEWAY)
        self.refused(text)
        self.assertEqual(len(self.signer._verified), 0)
        self.assertEqual(self.signer._verified._weight, 0)


class RotationTests(KeysCase):
    def later(self, seconds: float = 1) -> None:
        """Let time pass, so that the file is looked at."""
        self.clock.advance(seconds)

    def kid(self, text: str) -> object:
        """Which key a token says it was signed with."""
        return opened(text)[0]["kid"]

    def test_first_signs_all_verify(self) -> None:
        """The first key signs; tokens of the others are good."""
        of_one = self.issue()
        self.write(TWO, ONE)
        self.later()
        self.assertEqual(self.kid(self.issue()), thumbprint(TWO.public_key()))
        self.later(ACCESS_LIFE - 1)
        self.assertIsNone(self.refused(of_one))

    def test_in_one_step(self) -> None:
        """Access tokens outlast a key that was replaced at once, and not longer."""
        self.later(0.9)
        of_one = self.issue()
        self.write(TWO)
        self.later()
        self.assertEqual(self.kid(self.issue()), thumbprint(TWO.public_key()))
        self.assertIsNone(self.refused(of_one))
        self.later(ACCESS_LIFE - 1)
        self.assertIsNone(self.refused(of_one))

    def test_removed(self) -> None:
        """After its grace a key that has left signs nothing good any more."""
        identity = self.signer.issue_identity("alice", HOST, "s1")
        self.signer.check_identity(identity, HOST)
        self.write(TWO)
        self.later()
        self.signer.check_identity(identity, HOST)
        self.later(ACCESS_LIFE + LEEWAY)
        with self.assertRaisesRegex(InvalidToken, "unknown key"):
            self.signer.check_identity(identity, HOST)

    def test_grace(self) -> None:
        """How long a key verifies after it has left can be said."""
        keys = SigningKeys(self.path, self.clock.seconds, grace=0)
        signer = TokenSigner(keys, "regbroker", self.clock.seconds)
        text = self.issue()
        self.assertIsNone(self.refused(text, signer))
        self.write(TWO)
        self.later()
        self.assertIn("unknown key", str(self.refused(text, signer)))

    def test_identity_outlasts_a_change_in_steps(self) -> None:
        """With the old key below the new one, identity tokens live on."""
        identity = self.signer.issue_identity("alice", HOST, "s1")
        self.write(ONE, TWO)
        self.later()
        self.write(TWO, ONE)
        self.later(IDENTITY_LIFE - 2)
        self.assertEqual(self.signer.check_identity(identity, HOST).user, "alice")

    def test_comes_back(self) -> None:
        """A key that comes back is there to stay."""
        text = self.signer.issue_identity("alice", HOST, "s1")
        for keys in ((TWO,), (TWO, ONE)):
            self.write(*keys)
            self.later()
            self.signer.check_identity(text, HOST)
        self.later(ACCESS_LIFE + LEEWAY)
        self.signer.check_identity(text, HOST)

    def test_comes_back_while_nobody_asks(self) -> None:
        """A key that left long ago and comes back verifies again."""
        text = self.signer.issue_identity("alice", HOST, "s1")
        self.write(TWO)
        self.later()
        self.issue()
        self.write(ONE)
        self.later(86400)
        self.assertEqual(self.signer.check_identity(text, HOST).user, "alice")

    def test_bad_file(self) -> None:
        """A file that cannot be used any more changes nothing, and is logged."""
        before = self.issue()
        with capturedLogs() as events:
            self.path.write_bytes(pem(TWO)[:-30])
            os.utime(self.path, (0, 0))
            self.later()
            self.assertEqual(self.kid(self.issue()), thumbprint(ONE.public_key()))
            self.assertIsNone(self.refused(before))
            self.path.unlink()
            for _ in range(2):
                self.later()
                self.assertIsNone(self.refused(before))
        texts = [formatEvent(event) for event in events]
        self.assertEqual(len(texts), 2)
        self.assertIn("is the file complete?", texts[0])
        self.assertIn("No such file", texts[1])

    def test_bad_from_the_start(self) -> None:
        """Without keys nothing starts, and the reason names the file."""
        self.path.write_bytes(b"")
        self.path.chmod(0o600)
        with self.assertRaisesRegex(StateError, f"{self.path}: no PEM private key"):
            SigningKeys(self.path, self.clock.seconds)


class SharedTests(KeysCase):
    def test_processes(self) -> None:
        """Whoever shares the file takes the other's tokens, and forgets alike."""
        other = self.process()
        text = self.issue()
        self.assertIsNone(self.refused(text, other))
        self.write(TWO)
        self.clock.advance(1)
        for signer in (self.signer, other):
            self.assertIsNone(self.refused(text, signer))
            self.assertIsNone(self.refused(self.issue(signer)))
        self.clock.advance(ACCESS_LIFE + LEEWAY)
        for signer in (self.signer, other, self.process()):
            self.assertIsNotNone(self.refused(text, signer))

    def test_sooner_than_the_next_look(self) -> None:
        """Who has seen a new key first is believed by who has not looked yet."""
        slow = self.process()
        self.refused(self.issue(), slow)
        self.write(TWO)
        quick = self.process()
        self.assertIsNone(self.refused(self.issue(quick), slow))

    def test_another_process(self) -> None:
        """A process of its own, with its own clock, issues what is good here."""
        program = (
            "import sys, time; from pathlib import Path\n"
            "from regbroker.accounts.signing import SigningKeys, TokenSigner\n"
            "keys = SigningKeys(Path(sys.argv[1]), time.time)\n"
            "signer = TokenSigner(keys, 'regbroker', time.time)\n"
            f"print(signer.issue_access('bob', {HOST!r}, ()))\n"
        )
        text = subprocess.run(
            [sys.executable, "-c", program, os.fspath(self.path.resolve())],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        self.clock.rightNow = opened(text)[1]["iat"]
        self.assertEqual(self.signer.check_access(text, HOST).user, "bob")

    def test_our_own_key(self) -> None:
        """The key made in the state directory serves."""
        path = make_key(Path(self.mktemp()))
        keys = SigningKeys(path, self.clock.seconds)
        signer = TokenSigner(keys, "regbroker", self.clock.seconds)
        text = self.issue(signer)
        self.assertIsNone(self.refused(text, signer))
        self.assertIsNotNone(self.refused(text))
        self.assertEqual(len(parse_keys(path.read_bytes())), 1)
