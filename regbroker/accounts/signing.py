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
from collections.abc import Callable
from typing import Any, TypeVar

import jwt

from regbroker.accounts.key_ring import KeyRing
from regbroker.accounts.token_parsing import parse_token
from regbroker.accounts.tokens import (
    ACCESS_LIFE,
    IDENTITY_LIFE,
    AccessToken,
    IdentityToken,
    InvalidToken,
    Robot,
    RobotToken,
    Token,
    Vouched,
)
from regbroker.errors import BadRequest
from regbroker.protocol.scopes import Scope
from regbroker.runtime.bounded_memory import BoundedMemory

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


class SigningKeys(KeyRing):
    """The keys in a file, and what they sign and verify; raises `StateError`."""

    def sign(self, type: str, payload: bytes) -> str:
        """Return a JWS with this ``typ``, signed with the file's first key."""
        kid, key = self.first()
        headers = {"typ": type, "kid": kid}
        return _JWS.encode(payload, key, _ALGORITHM, headers)

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


class TokenSigner:
    """
    Makes tokens, and says what tokens are good.

    `access_life` is that of access tokens, in seconds. What has been verified is
    remembered, since a push shows one token hundreds of times.
    """

    def __init__(
        self,
        keys: SigningKeys,
        issuer: str,
        now: Callable[[], float],
        *,
        access_life: float = ACCESS_LIFE,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._now = now
        self.access_life = access_life
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
        common = self._common(user, audience, IDENTITY_LIFE)
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
