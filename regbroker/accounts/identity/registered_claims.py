"""
The registered claims of a JWT (RFC 7519, 4.1), checked one by one.

PyJWT checks most of them, too. It takes an audience or a time in forms that no issuer
writes, and does not always say which claim was wrong, which is what an operator needs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from regbroker.accounts.principals import LoginRefused

#: Of a claim's value, what the log shows.
MAX_SHOWN = 200

#: Seconds, ten years: what lives longer was written in other units, mostly in
#: milliseconds, and would never end.
_MAX_LIFE = 3660 * 86400

#: After this time, in the year 285,428,751, no clock counts seconds any more.
_MAX_TIME = 2**53


def check_registered(
    claims: Mapping[str, object],
    issuer: str,
    audience: Collection[str],
    now: float,
    leeway: float,
) -> float:
    """
    Return when a JWT ends, in seconds since 1970.

    `leeway` is by how many seconds the issuer's clock may differ. Raises
    `LoginRefused` that names the claim.
    """
    check_addressed(claims, issuer, audience)
    expires = _time(claims, "exp")
    if expires is None:
        raise LoginRefused("exp is missing")
    if expires - now > _MAX_LIFE:
        raise LoginRefused(
            f"exp is {shown(claims['exp'])}, more than ten years ahead; it is written "
            "in seconds (RFC 7519, 2)"
        )
    if now >= expires + leeway:
        raise LoginRefused(f"exp: it has expired {now - expires:.0f} s ago")
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and begins - leeway > now:
            raise LoginRefused(
                f"{name}: it is not good yet, but in {begins - now:.0f} s; the clocks "
                "of the issuer and of this machine may differ"
            )
    # An issuer whose clock is behind ours has not ended it yet.
    return expires if expires > now else expires + leeway


def check_addressed(
    claims: Mapping[str, object], issuer: str, audience: Collection[str]
) -> None:
    """Check whose a JWT is, and for whom, whatever the time; raises `LoginRefused`."""
    if claims.get("iss") != issuer:
        raise LoginRefused(f"iss is {shown(claims.get('iss'))}, not {issuer}")
    _check_audience(claims.get("aud"), audience)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise LoginRefused("sub is missing, or no text")


def _check_audience(value: object, audience: Collection[str]) -> None:
    # A test of rights writes several values as a tuple.
    named = value if isinstance(value, list | tuple) else [value]
    if not any(isinstance(each, str) and each in audience for each in named):
        raise LoginRefused(
            f"aud is {shown(value)}, and audience here is {', '.join(audience)}"
        )


def _time(claims: Mapping[str, object], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LoginRefused(f"{name} is no time")
    # What is no number is neither above nor below one.
    if not 0 <= value < _MAX_TIME:
        raise LoginRefused(f"{name} is no time")
    return float(value)


def shown(value: object) -> str:
    """Return a claim's value for the log: on one line, and not all of a long one."""
    if isinstance(value, str):
        value = value[:MAX_SHOWN]
    text = json.dumps(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
