"""
Tokens of ours, from the claims in them: whatever stands there is a token, or refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regbroker.accounts.tokens import (
    AccessToken,
    IdentityToken,
    InvalidToken,
    Robot,
    RobotToken,
    Token,
    Vouched,
)
from regbroker.protocol.scopes import Scope


def parse_token(type: object, claims: Mapping[str, Any]) -> Token:
    """
    Return the token with this ``typ`` and these claims.

    Raises `InvalidToken` for what is no token of ours. That it is good where
    and when it is shown is for `check` to say.
    """
    common: dict[str, Any] = {
        "issuer": _text(claims, "iss"),
        "audience": _text(claims, "aud"),
        "user": _text(claims, "sub"),
        "issued": max(_seconds(claims, "nbf"), _seconds(claims, "iat")),
        "expires": _seconds(claims, "exp"),
        "id": _text(claims, "jti"),
    }
    if type == AccessToken.TYPE:
        entries = claims.get("access")
        if not isinstance(entries, list):
            raise InvalidToken("the token's access is no list")
        return AccessToken(
            **common,
            access=tuple(map(_scope, entries)),
            refused_pulls=_texts({"refused_pulls": [], **claims}, "refused_pulls"),
            vouched=_vouched(claims["vouched"]) if "vouched" in claims else None,
            robot=_robot(claims["robot"]) if "robot" in claims else None,
        )
    if type == IdentityToken.TYPE:
        return IdentityToken(
            **common,
            password_version=_text(claims, "stamp"),
            client_id=_text(claims, "client_id"),
        )
    if type == RobotToken.TYPE:
        return RobotToken(**common, rights=_texts(claims, "rights"))
    raise InvalidToken("the token is of an unknown type")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise InvalidToken(f"the token's {name} is no string")
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = claims.get(name)
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise InvalidToken(f"the token's {name} are no list of texts")
    return tuple(values)


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidToken(f"the token's {name} is no time")
    return value


def _vouched(entry: Any) -> Vouched:
    if not isinstance(entry, dict):
        raise InvalidToken("the token's vouched is no object")
    claims = entry.get("claims")
    named = [entry.get("conditions"), entry.get("groups")]
    if not isinstance(claims, dict) or not all(isinstance(n, list) for n in named):
        raise InvalidToken("the token's vouched holds something else")
    conditions, groups = (frozenset(map(str, each or ())) for each in named)
    expires = entry.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float | None):
        raise InvalidToken("the token's vouched has an end that is no time")
    return Vouched(_text(entry, "identity"), claims, conditions, groups, expires)


def _robot(entry: Any) -> Robot:
    if not isinstance(entry, dict):
        raise InvalidToken("the token's robot is no object")
    return Robot(_text(entry, "jti"), _texts(entry, "rights"))


def _scope(entry: Any) -> Scope:
    if not isinstance(entry, dict):
        raise InvalidToken("the token's access holds something else")
    actions = entry.get("actions")
    if not isinstance(actions, list) or not all(isinstance(a, str) for a in actions):
        raise InvalidToken("the token's actions are no list of words")
    name = _text(entry, "name")
    resource_class = _text({"class": "", **entry}, "class")
    bare = Scope("", _text(entry, "type"), resource_class, name, tuple(actions))
    return bare.with_name(name)
