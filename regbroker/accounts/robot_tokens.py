"""
Robot tokens: passwords that machines log in with, and that nobody stores.

One is a signed text that says for which registry it is, whose, with which rights, and
until when (`regbroker.accounts.tokens.RobotToken`). It is shown as the password of its
user. What it may do is what it says and what the rules give that user now. It ends when
it expires, when its id is revoked, with its user, and with the key that signed it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from twisted.logger import Logger

from regbroker.accounts.identity.jwts import is_ours
from regbroker.accounts.narrowing import parse_rights
from regbroker.accounts.principals import Account, LoginRefused
from regbroker.accounts.signing import TokenSigner
from regbroker.accounts.tokens import InvalidToken
from regbroker.protocol.token_texts import ROBOT_PREFIX, jwt_in
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.runtime.utf16 import refuse_utf16
from regbroker.runtime.watched_file import WatchedFile

PREFIX = ROBOT_PREFIX

#: What the ids of robot tokens are made of.
ID = re.compile(r"[_-]*[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

#: What clients keep and send in one header. Some hundred rights fit in.
MAX_LENGTH = 8192

#: Some ten thousand ids with their comments.
MAX_REVOKED_BYTES = 1024 * 1024

#: Seconds for which a user is not looked up again: a herd of clients with one token is
#: one search in a directory.
REMEMBER_SECONDS = 10.0
MAX_REMEMBERED = 1024

_log = Logger()


class RevokedTokens:
    """
    The ids in a file, as of a second ago: one a line, with a comment after it or not.

    A line that is no id does no harm: others count, and the log says that there is one.
    The file is read at once, so that what changes in it later is told.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._file = WatchedFile(
            path,
            parse_revoked,
            now,
            max_bytes=MAX_REVOKED_BYTES,
            without="no robot token is taken",
            tell=self._tell,
            is_secret=False,
        )
        self._file.look(at_once=True)

    @property
    def is_known(self) -> bool:
        """Whether the file was ever read: without it, nobody can tell."""
        return self._file.latest() is not None

    def __contains__(self, token_id: str) -> bool:
        """Tell whether a token is revoked; all are while the file cannot be read."""
        revoked = self._file.latest()
        return revoked is None or token_id in revoked

    def _tell(self, revoked: frozenset[str], is_first: bool) -> None:
        # Not what stands there: it may be a token.
        odd = sum(not _is_id(each) for each in revoked)
        if odd and not is_first:
            _log.warn(
                "{path}: read; lines that revoke nothing: {odd}; each line begins with "
                "the id of a token, and a # begins a comment",
                path=str(self._path),
                odd=odd,
            )
        else:
            _log.info("{path}: read", path=str(self._path))


def parse_revoked(contents: bytes) -> frozenset[str]:
    """
    Return what stands in a file as ids, each the beginning of a line.

    By hand, things are written beside an id that are no part of it, and the token
    itself in its place: all of these revoke it. Raises `ValueError` for UTF-16, in
    which no line would revoke anything.
    """
    return frozenset(word for _, word in _numbered(contents))


def odd_lines(contents: bytes) -> list[int]:
    """Return the numbers of lines that revoke nothing; raises as `parse_revoked`."""
    return [number for number, word in _numbered(contents) if not _is_id(word)]


def _is_id(word: str) -> bool:
    """Tell whether a word may be an id; what is left of a token without one is none."""
    return ID.fullmatch(word) is not None and not word.startswith(PREFIX)


def _numbered(contents: bytes) -> Iterator[tuple[int, str]]:
    """Yield what stands as an id, with the number of its line."""
    refuse_utf16(contents)
    text = contents.decode("utf-8-sig", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        for first in line.partition("#")[0].split()[:1]:
            word = first.strip("\0,;")
            yield number, id_of(word) or word if word.startswith(PREFIX) else word


def id_of(text: str) -> str:
    """
    Return the id in a robot token; '' for none.

    Nobody checks the signature: to revoke an id that no token has does no harm.
    """
    try:
        payload = text.split(".")[1]
        claims = json.loads(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        )
        return str(claims["jti"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""


class RobotTokens:
    """
    Takes the robot tokens of one registry.

    `section` is the registry's, ``*`` for the default one. `look_up` returns the
    account of a user, None when there is none. Without `revoked`, none is taken.
    """

    kind = "robot-token"

    def __init__(
        self,
        signer: TokenSigner,
        section: str,
        revoked: RevokedTokens | None,
        look_up: Callable[[str], Awaitable[Account | None]],
        now: Callable[[], float],
    ) -> None:
        self._signer = signer
        self._section = section
        self._revoked = revoked
        self._look_up = look_up
        self._known: BoundedMemory[str, Account] = BoundedMemory(
            MAX_REMEMBERED, now=now, max_age=REMEMBER_SECONDS
        )

    def takes(self, text: str) -> bool:
        """Tell whether a text has the form of a robot token, good or not."""
        return text.startswith(PREFIX)

    def holds(self, text: str) -> bool:
        """Tell whether a robot token, or another token of ours, is part of a text."""
        return PREFIX in text or is_ours(jwt_in(text))

    def owns(self, user: str) -> bool:
        """Tell that every name is for users: a robot token is one of a user's."""
        return False

    def is_revoked(self, token_id: str) -> bool:
        """Tell whether what was issued for a robot token is not good any more."""
        return self._revoked is None or token_id in self._revoked

    async def account(self, user: str, text: str) -> Account:
        """
        Return the account of a robot token, which has no more rights than that.

        `user` is the name beside it, empty where there is none. Raises `LoginRefused`,
        and `regbroker.errors.AccountsUnavailable`.
        """
        if self._revoked is None:
            raise LoginRefused(
                "robot tokens are not taken here; write robot-tokens = yes in "
                f"[registry {self._section}]",
                user,
            )
        if len(text) > MAX_LENGTH:
            raise LoginRefused("a robot token is too long", user)
        try:
            token = self._signer.check_robot(text.removeprefix(PREFIX), self._section)
        except InvalidToken as error:
            raise _refusal(str(error), user, error.token_id) from None
        if user not in ("", token.user):
            raise _refusal(f"it is a token of {token.user}", user, token.id)
        if not self._revoked.is_known:
            raise _refusal("revoked-tokens cannot be read", user, token.id)
        if token.id in self._revoked:
            raise _refusal("it is revoked", user, token.id)
        account = self._known.get(token.user)
        if account is None:
            account = await self._look_up(token.user)
            if account is None:
                raise _refusal("there is no such user any more", user, token.id)
            self._known.put(token.user, account)
        try:
            limits = parse_rights(token.rights)
        except ValueError as error:
            raise _refusal(str(error), user, token.id) from None
        return Account(
            account.user,
            account.groups,
            expires=token.expires,
            limits=limits,
            token_id=token.id,
        )


def _refusal(why: str, user: str, token_id: str) -> LoginRefused:
    return LoginRefused(f"a robot token is not good: {why}", user, token_id)
