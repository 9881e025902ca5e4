"""Robot tokens as passwords: which are taken, and why others are not."""

import base64
import hmac
import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import jwt
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.access_section import parse_access
from regbroker.accounts.principals import Account, LoginRefused
from regbroker.accounts.robot_tokens import (
    MAX_LENGTH,
    PREFIX,
    REMEMBER_SECONDS,
    RevokedTokens,
    RobotTokens,
    odd_lines,
    parse_revoked,
)
from regbroker.accounts.signing import SigningKeys, TokenSigner
from regbroker.errors import AccountsUnavailable
from tests.accounts.test_key_file import new_key, pem, public_pem
from tests.accounts.test_signing import opened, segment
from tests.issuers import claims, token

T = TypeVar("T")

KEY, OTHER = new_key(), new_key()
HOST = "registry.example.com"
RIGHTS = ("team/**: pull",)
DAY = 86400.0


class RobotTokensTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000.5)
        self.revoked_file = Path(self.mktemp())
        self.write("")
        self.accounts = {"deploy": Account("deploy", frozenset({"ci"}), "version")}
        self.looked_up: list[str] = []
        self.down = False
        self.signer = self.signer_of(HOST, KEY)
        self.robots = self.made(self.revoked_file)

    def signer_of(self, section: str, key: Any) -> TokenSigner:
        path = Path(self.mktemp())
        path.touch(0o600)
        path.write_bytes(pem(key))
        keys = SigningKeys(path, self.clock.seconds)
        return TokenSigner(keys, f"regbroker {section}", self.clock.seconds)

    def made(self, revoked: Path | None, section: str = HOST) -> RobotTokens:
        clock = self.clock
        return RobotTokens(
            self.signer,
            section,
            RevokedTokens(revoked, clock.seconds) if revoked else None,
            self.look_up,
            clock.seconds,
        )

    async def look_up(self, user: str) -> Account | None:
        self.looked_up.append(user)
        if self.down:
            raise AccountsUnavailable("down")
        return self.accounts.get(user)

    def write(self, text: str) -> None:
        """Put another file of revoked ids in its place, left alone for long."""
        new = self.revoked_file.with_name("new")
        new.write_text(text)
        os.utime(new, (0, len(text)))
        new.replace(self.revoked_file)

    def token(self, life: float = DAY, signer: TokenSigner | None = None) -> str:
        signer = signer or self.signer
        return PREFIX + signer.issue_robot("deploy", HOST, RIGHTS, life)[0]

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def account(self, text: str, user: str = "deploy") -> Account:
        return self.result(self.robots.account(user, text))

    def refused(self, text: str, user: str = "deploy") -> tuple[str, str]:
        """Why a token is refused, and its id as the log has it."""
        failing = Deferred.fromCoroutine(self.robots.account(user, text))
        error = self.failureResultOf(failing, LoginRefused).value
        self.assertEqual(error.user, user)
        self.assertNotIn(text, str(error))
        return str(error).removeprefix("a robot token is not good: "), error.token_id

    def test_taken(self) -> None:
        """The account is the user's, with the token's rights, end and id."""
        text = self.token()
        self.assertTrue(self.robots.takes(text))
        account = self.account(text)
        _, claims = opened(text.removeprefix(PREFIX))
        self.assertEqual((account.user, account.groups), ("deploy", {"ci"}))
        self.assertEqual(account.expires, claims["exp"])
        self.assertEqual(account.token_id, claims["jti"])
        # docker would keep an identity token instead, which has all rights.
        self.assertEqual(account.password_version, "")
        rules = parse_access({"deploy": "**: pull, push"})
        self.assertTrue(rules.allows(account, "pull", "team/app"))
        self.assertFalse(rules.allows(account, "push", "team/app"))
        self.assertFalse(rules.allows(account, "pull", "other"))

    def test_without_a_name(self) -> None:
        """As Bearer it comes without a name, and says itself whose it is."""
        self.assertEqual(self.account(self.token(), "").user, "deploy")

    def test_form(self) -> None:
        """Passwords, and tokens of other kinds, are not taken for robot tokens."""
        for text in (
            "",
            "secret",
            self.token().removeprefix(PREFIX),
            self.signer.issue_access("deploy", HOST, ()),
            self.signer.issue_identity("deploy", HOST, "v"),
            f"x{PREFIX}",
        ):
            self.assertFalse(self.robots.takes(text), text)

    def test_holds(self) -> None:
        """Tokens of ours are no passwords, also with text beside them."""
        for text in (
            f" {self.token()}\n",
            self.signer.issue_access("deploy", HOST, ()),
            self.signer.issue_identity("deploy", HOST, "v") + "\n",
        ):
            self.assertTrue(self.robots.holds(text), text)
        for text in ("password", token(claims())):
            self.assertFalse(self.robots.holds(text), text)

    def test_other_user(self) -> None:
        """The name beside it is that of its user, in the same letters."""
        for user in ("alice", "Deploy", "deploy "):
            why, token_id = self.refused(self.token(), user)
            self.assertEqual(why, "it is a token of deploy")
            self.assertTrue(token_id)

    def test_expired(self) -> None:
        """It ends when it says; until then it is good."""
        text = self.token(life=3600)
        self.clock.advance(3599)
        self.account(text)
        self.clock.advance(30)
        why, token_id = self.refused(text)
        self.assertEqual(why, "the token has expired")
        self.assertEqual(token_id, opened(text.removeprefix(PREFIX))[1]["jti"])

    def test_revoked(self) -> None:
        """An id in the file is refused within a second; others are not."""
        text, kept = self.token(), self.token()
        account = self.account(text)
        self.assertFalse(self.robots.is_revoked(account.token_id))
        self.write(f"# stolen\nnothing-else\n{account.token_id}  # by alice\n")
        self.clock.advance(1)
        self.assertEqual(self.refused(text), ("it is revoked", account.token_id))
        self.assertTrue(self.robots.is_revoked(account.token_id))
        self.account(kept)

    def test_token_in_the_file(self) -> None:
        """The token itself, which people have at hand, is revoked by it."""
        text = self.token()
        account = self.account(text)
        self.assertEqual(
            parse_revoked(f"{text}  # lost\n".encode()), {account.token_id}
        )
        self.assertEqual(parse_revoked(b"rbrobot_x.y.z"), {"rbrobot_x.y.z"})

    def test_odd_lines(self) -> None:
        """Of lines that revoke nothing the log tells, and not what they are."""
        said: list[str] = []
        observe: Any = lambda event: said.append(str(formatEvent(event)))  # noqa: E731
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        for contents, told in (
            ("id-1 # a\n", f"{self.revoked_file}: read"),
            ('- id-1\n"id-2"\nid-3\n# id\n', "lines that revoke nothing: 2;"),
            ("s3cret!\n'id'\n", "lines that revoke nothing: 2;"),
            ("", f"{self.revoked_file}: read"),
        ):
            said.clear()
            self.write(contents)
            self.clock.advance(1)
            self.robots.is_revoked("any")
            (line,) = said
            self.assertIn(told, line)
            self.assertNotIn("s3cret", line)
        # Of the file as it is at first, the warnings of the start tell.
        said.clear()
        self.write("s3cret!\n")
        self.made(self.revoked_file)
        self.assertEqual(said, [f"{self.revoked_file}: read"])

    def test_revoked_in_utf16(self) -> None:
        """A file in which no line would revoke anything opens nothing."""
        account = self.account(self.token())
        contents = f"{account.token_id}\r\n".encode("utf-16")
        with self.assertRaisesRegex(ValueError, "UTF-16 text; save it as UTF-8"):
            parse_revoked(contents)
        self.revoked_file.write_bytes(contents)
        robots = self.made(self.revoked_file)
        self.assertTrue(robots.is_revoked(account.token_id))

    def test_revoked_file(self) -> None:
        """While nobody can tell what is revoked, nothing is taken."""
        self.robots = self.made(self.revoked_file.with_name("missing"))
        self.assertEqual(self.refused(self.token())[0], "revoked-tokens cannot be read")
        self.assertTrue(self.robots.is_revoked("any"))
        # One that has gone is remembered.
        self.robots = self.made(self.revoked_file)
        text = self.token()
        account = self.account(text)
        self.write(account.token_id)
        self.clock.advance(1)
        self.refused(text)
        self.revoked_file.unlink()
        self.clock.advance(1)
        self.refused(text)
        self.account(self.token())
        self.flushLoggedErrors()

    def test_not_taken_here(self) -> None:
        """Without robot-tokens = yes, the log says what to write."""
        self.robots = self.made(None)
        self.assertTrue(self.robots.takes(self.token()))
        self.assertIn(
            f"robot-tokens = yes in [registry {HOST}]", self.refused(self.token())[0]
        )
        self.assertTrue(self.robots.is_revoked("any"))

    def test_other_registry(self) -> None:
        """It is for one section, and the refusal says which."""
        text = self.token()
        self.robots = self.made(self.revoked_file, "other.example.com")
        self.assertEqual(self.refused(text)[0], f"it is for [registry {HOST}]")

    def test_other_issuer(self) -> None:
        """Another section that signs with the same key makes no tokens for this one."""
        text = self.token(signer=self.signer_of("*", KEY))
        self.assertEqual(self.refused(text)[0], "the token is somebody else's")

    def test_other_key(self) -> None:
        """A token ends with the key that has signed it."""
        text = self.token(signer=self.signer_of(HOST, OTHER))
        self.assertEqual(
            self.refused(text), ("the token is signed with an unknown key", "")
        )

    def test_user_is_gone(self) -> None:
        """A user that is no longer known takes its tokens along, soon."""
        text = self.token()
        self.account(text)
        del self.accounts["deploy"]
        self.clock.advance(REMEMBER_SECONDS + 1)
        self.assertEqual(self.refused(text)[0], "there is no such user any more")

    def test_one_look_up(self) -> None:
        """A herd with one token asks the directory once."""
        text = self.token()
        for _ in range(5):
            self.account(text)
        self.assertEqual(self.looked_up, ["deploy"])

    def test_unavailable(self) -> None:
        """A directory that is down is no refusal."""
        self.down = True
        failing = Deferred.fromCoroutine(self.robots.account("deploy", self.token()))
        self.failureResultOf(failing, AccountsUnavailable)

    # Attacks

    def test_other_kinds(self) -> None:
        """Neither an access token nor an identity token becomes a robot token."""
        for text in (
            self.signer.issue_access("deploy", HOST, ()),
            self.signer.issue_identity("deploy", HOST, "version"),
        ):
            self.assertEqual(
                self.refused(PREFIX + text)[0], "the token is of another kind"
            )

    def test_foreign(self) -> None:
        """A JWT that somebody else has signed is none of ours."""
        claims = opened(self.token().removeprefix(PREFIX))[1]
        kid = opened(self.token().removeprefix(PREFIX))[0]["kid"]
        for key in (OTHER, new_key()):
            text = jwt.encode(claims, key, "ES256", {"typ": "robot+jwt", "kid": kid})
            self.assertEqual(
                self.refused(PREFIX + text)[0],
                "the token is no JWT that we have signed",
            )

    def test_algorithms(self) -> None:
        """The algorithm is ours to say: neither none nor the public key as a secret."""
        text = self.token().removeprefix(PREFIX)
        header = opened(text)[0]
        payload = text.split(".")[1]
        unsigned = f"{segment({**header, 'alg': 'none'})}.{payload}."
        signed = f"{segment({**header, 'alg': 'HS256'})}.{payload}"
        digest = hmac.digest(public_pem(KEY), signed.encode(), "sha256")
        forged = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        for attack in (unsigned, unsigned + "x", f"{signed}.{forged}"):
            self.assertEqual(
                self.refused(PREFIX + attack)[0],
                "the token is no JWT that we have signed",
            )

    def test_altered(self) -> None:
        """Rights, user, registry and end are signed."""
        text = self.token().removeprefix(PREFIX)
        header, _, signature = text.split(".")
        claims = opened(text)[1]
        for change in (
            {"rights": ["**: *"]},
            {"sub": "alice"},
            {"aud": "other.example.com"},
            {"exp": claims["exp"] + 1},
            {"jti": "other"},
        ):
            forged = f"{header}.{segment({**claims, **change})}.{signature}"
            for user in ("deploy", str(change.get("sub", ""))):
                self.assertEqual(
                    self.refused(PREFIX + forged, user)[0],
                    "the token is no JWT that we have signed",
                )

    def test_huge(self) -> None:
        """What is longer than any token of ours is not looked at."""
        for text in (
            PREFIX + "x" * MAX_LENGTH,
            PREFIX + self.token() + "." * 1_000_000,
        ):
            self.assertEqual(self.refused(text)[0], "a robot token is too long")

    def test_odd(self) -> None:
        """Whatever follows the prefix, it is refused in order."""
        for rest in ("", ".", "..", "é.ü.ö", "a.b", "\0", "\udcff", "=.=.="):
            self.assertEqual(
                self.refused(PREFIX + rest)[0],
                "the token is no JWT that we have signed",
            )

    def test_rights_that_nobody_understands(self) -> None:
        """Signed by us and not understood, as by an older version: it is refused."""
        signed, _ = self.signer.issue_robot("deploy", HOST, ("a: sing",), DAY)
        self.assertIn("'sing' is no action", self.refused(PREFIX + signed)[0])


class ParseTests(SynchronousTestCase):
    def test_revoked(self) -> None:
        """One id a line; comments, and lines that are nothing, do no harm."""
        contents = b"# made by hand\n\n id-1 \nid_2 # stolen\n\xff\xfe\n#id3\n"
        self.assertEqual(parse_revoked(contents) - {"\ufffd\ufffd"}, {"id-1", "id_2"})

    def test_beside_an_id(self) -> None:
        """An id is revoked whatever editors and people write beside it."""
        for line in (
            b"\xef\xbb\xbfid-1  # stolen",
            b"id-1# stolen",
            b"id-1, stolen",
            b"id-1;",
            b"\0id-1\0 # a file that was sparse",
            b"id-1\r",
            b"\tid-1",
        ):
            self.assertEqual(parse_revoked(line + b"\nid-2\n"), {"id-1", "id-2"}, line)

    def test_json_is_no_id(self) -> None:
        """Nothing in the file makes an id that is not written."""
        self.assertNotIn("id-1", parse_revoked(json.dumps(["id-1"]).encode()))

    def test_odd_lines(self) -> None:
        """Lines that revoke nothing, by their numbers; a token stands for its id."""
        payload = base64.urlsafe_b64encode(b'{"jti": "id-9"}').decode().rstrip("=")
        contents = (
            f"id-1\n\n# - id\n- id-2\n'id-3' # stolen\n\tid_4,\n{PREFIX}x.{payload}.z\n"
            f"{PREFIX}x.y.z\n,\n"
        ).encode()
        self.assertEqual(odd_lines(contents), [4, 5, 8, 9])
        self.assertEqual(odd_lines(b""), [])
        with self.assertRaisesRegex(ValueError, "UTF-16"):
            odd_lines("id-1".encode("utf-16"))
