"""
Our own tokens, signed and verified.

ES256 (ECDSA on P-256) and nothing else. The keys stand in a file that may be
shared: the first one signs, all of them verify, so that several processes and
machines take each other's tokens. A key is taken out of use without breaking
tokens in three steps: add the new one below, then on top, and remove the old
one when its last token has expired.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jwt

from regbroker.accounts.key_file import (
    PrivateKey,
    PublicKey,
    parse_keys,
    secret_of,
    thumbprint,
)
from regbroker.accounts.token_parsing import parse_token
from regbroker.accounts.tokens import (
    ACCESS_LIFE,
    IDENTITY_LIFE,
    LEEWAY,
    AccessToken,
    IdentityToken,
    InvalidToken,
    Robot,
    RobotToken,
    Token,
    Vouched,
)
from regbroker.errors import BadRequest, StateError
from regbroker.protocol.scopes import Scope
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.runtime.watched_file import WatchedFile

#: A token has to fit into a request's headers and, once, into a token reply,
#: 64 KiB both.
MAX_TOKEN_LENGTH = 48 * 1024

#: Tokens whose signature need not be verified again: a busy registry's five
#: minutes. In bytes, too, since a token may be a thousand times as long as
#: another one.
MAX_REMEMBERED = 4096
MAX_REMEMBERED_BYTES = 4 * 1024 * 1024

_ALGORITHM = "ES256"
_JWS = jwt.PyJWS(algorithms=[_ALGORITHM])

T = TypeVar("T", AccessToken, IdentityToken, RobotToken)


class SigningKeys:
    """
    The keys in a file, as of a second ago.

    A key that leaves the file verifies for another `grace` seconds, in this
    process: tokens that live no longer than that outlast a change of keys that
    was made in one step. `now` returns seconds since 1970. Raises `StateError`
    when the file cannot be used; later on, it keeps what the file held last.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], float],
        *,
        grace: float = ACCESS_LIFE + LEEWAY,
    ) -> None:
        self._now = now
        self._grace = grace
        self._file = WatchedFile(path, parse_keys, now)
        try:
            self._keys = self._file.read()
        except ValueError as error:
            raise StateError(str(error)) from None
        self._current = _by_kid(self._keys)
        self._left: dict[str, tuple[PrivateKey, float]] = {}

    def sign(self, type: str, payload: bytes) -> str:
        """Return a JWS with this ``typ``, signed with the file's first key."""
        self._look()
        kid = next(iter(self._current))
        headers = {"typ": type, "kid": kid}
        return _JWS.encode(payload, self._keys[0], _ALGORITHM, headers)

    def find(self, kid: str) -> PublicKey | None:
        """Return the key that verifies signatures of this ``kid``, if any."""
        self._look()
        if kid not in self._current and kid not in self._left:
            # Another process may have signed with what has just been added.
            self._look(at_once=True)
        key = self._current.get(kid) or self._left.get(kid, (None, 0.0))[0]
        return None if key is None else key.public_key()

    def secrets(self, at_once: bool = False) -> Sequence[bytes]:
        """
        Return a secret for each key that verifies, the one that signs first.

        With `at_once` the file is looked at before.
        """
        self._look(at_once=at_once)
        left = [key for key, _ in self._left.values()]
        return [secret_of(key) for key in (*self._keys, *left)]

    def verify(self, text: str) -> tuple[str, object, bytes]:
        """
        Return ``kid``, ``typ`` and payload of a JWS of ours.

        Raises `InvalidToken`.
        """
        try:
            kid = jwt.get_unverified_header(text).get("kid")
            key = self.find(kid) if isinstance(kid, str) else None
            if key is None:
                raise InvalidToken("the token is signed with an unknown key")
            # The algorithm is ours to say, whatever the token says.
            jws = _JWS.decode_complete(text, key, algorithms=[_ALGORITHM])
        except (jwt.PyJWTError, RecursionError):
            # Older versions of the library let brackets in brackets overflow the stack.
            raise InvalidToken("the token is no JWT that we have signed") from None
        return str(kid), jws["header"].get("typ"), jws["payload"]

    def _look(self, *, at_once: bool = False) -> None:
        now = self._now()
        keys = self._file.latest(at_once=at_once)
        if keys is not None and keys is not self._keys:
            before, self._current = self._current, _by_kid(keys)
            self._keys = keys
            for kid in before.keys() - self._current.keys():
                self._left[kid] = before[kid], now + self._grace
        for kid, (_, until) in list(self._left.items()):
            if now >= until:
                del self._left[kid]


def _by_kid(keys: tuple[PrivateKey, ...]) -> dict[str, PrivateKey]:
    return {thumbprint(key.public_key()): key for key in keys}


class TokenSigner:
    """
    Makes tokens, and says what tokens are good.

    `access_life` and `identity_life` are in seconds. What has been verified is
    remembered, since a push shows one token hundreds of times.
    """

    def __init__(
        self,
        keys: SigningKeys,
        issuer: str,
        now: Callable[[], float],
        *,
        access_life: float = ACCESS_LIFE,
        identity_life: float = IDENTITY_LIFE,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._now = now
        self.access_life = access_life
        self.identity_life = identity_life
        # The key's id, the token, and the length of its text.
        self._verified: BoundedMemory[bytes, tuple[str, Token, int]] = BoundedMemory(
            MAX_REMEMBERED,
            weigh=lambda verified: verified[2],
            max_weight=MAX_REMEMBERED_BYTES,
        )

    def issue_access(
        self,
        user: str,
        audience: str,
        access: tuple[Scope, ...],
        refused_pulls: tuple[str, ...] = (),
        vouched: Vouched | None = None,
        not_after: float | None = None,
        robot: Robot | None = None,
    ) -> str:
        """
        Return a new token, good until `not_after` at the latest.

        Raises `BadRequest` when it would be too long.
        """
        life = self.access_life
        if not_after is not None:
            life = min(life, not_after - int(self._now()))
        token = AccessToken(
            **self._common(user, audience, life),
            access=access,
            refused_pulls=refused_pulls,
            vouched=vouched,
            robot=robot,
        )
        return self._sign(token)

    def issue_identity(
        self, user: str, audience: str, password_version: str, client_id: str = ""
    ) -> str:
        """Return a new token; raises `BadRequest` when it would be too long."""
        common = self._common(user, audience, self.identity_life)
        return self._sign(
            IdentityToken(
                **common, password_version=password_version, client_id=client_id
            )
        )

    def issue_robot(
        self, user: str, section: str, rights: tuple[str, ...], life: float
    ) -> tuple[str, RobotToken]:
        """
        Return a new token for the registry of a section, and what it says.

        `life` is in seconds. Raises `BadRequest` when it would be too long.
        """
        common = self._common(user, section, life)
        # People write it on a command line, where a dash at its beginning is an option.
        common["id"] = secrets.token_hex(10)
        token = RobotToken(**common, rights=rights)
        return self._sign(token), token

    def check_access(self, text: str, audience: str) -> AccessToken:
        """Return what an access token says; raises `InvalidToken`."""
        return self._check(text, audience, AccessToken)

    def check_identity(self, text: str, audience: str) -> IdentityToken:
        """Return what an identity token says; raises `InvalidToken`."""
        return self._check(text, audience, IdentityToken)

    def check_robot(self, text: str, section: str) -> RobotToken:
        """Return what a robot token says; raises `InvalidToken`."""
        return self._check(text, section, RobotToken)

    def _common(self, user: str, audience: str, life: float) -> dict[str, Any]:
        now = int(self._now())
        return {
            "issuer": self._issuer,
            "audience": audience,
            "user": user,
            "issued": now,
            "expires": now + int(life),
            "id": secrets.token_urlsafe(16),
        }

    def _sign(self, token: Token) -> str:
        payload = json.dumps(token.claims(), separators=(",", ":")).encode("ascii")
        text = self._keys.sign(token.TYPE, payload)
        if len(text) > MAX_TOKEN_LENGTH:
            raise BadRequest("that much does not fit into one token; ask for less")
        return text

    def _check(self, text: str, audience: str, kind: type[T]) -> T:
        if len(text) > MAX_TOKEN_LENGTH or not text.isascii():
            raise InvalidToken("the token is no JWT that we have signed")
        digest = hashlib.sha256(text.encode("ascii")).digest()
        token, kid = self._recall(digest), ""
        if token is None:
            kid, token = self._verify(text)
        if not isinstance(token, kind):
            raise InvalidToken("the token is of another kind", token.id)
        token.check(self._issuer, audience, self._now())
        if kid:
            self._verified.put(digest, (kid, token, len(text)))
        return token

    def _verify(self, text: str) -> tuple[str, Token]:
        kid, type, payload = self._keys.verify(text)
        try:
            claims = json.loads(payload)
        except ValueError:
            claims = None
        if not isinstance(claims, dict):
            raise InvalidToken("the token's claims are no JSON object")
        return kid, parse_token(type, claims)

    def _recall(self, digest: bytes) -> Token | None:
        known = self._verified.use(digest)
        if known is None:
            return None
        kid, token, _ = known
        if token.has_expired(self._now()) or self._keys.find(kid) is None:
            self._verified.pop(digest)
            return None
        return token
