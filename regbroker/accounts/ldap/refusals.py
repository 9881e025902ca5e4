"""
Why a directory does not let somebody in, as far as it tells.

A directory refuses the password of a disabled account by itself. Tokens that stand for
the account need no password, so for them the entry is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone

from regbroker.accounts.ldap.answers import Answer, Entry

#: Whether Active Directory has disabled an account, and the bit that says so.
_CONTROL = "userAccountControl"
_ACCOUNT_DISABLED = 0x2

#: The same in one word: 389 Directory Server and FreeIPA, eDirectory, and AD LDS.
_SWITCHES = ("nsAccountLock", "loginDisabled", "msDS-UserAccountDisabled")

#: When an account was locked (draft-behera-ldap-password-policy, 5.3.3), and the value
#: that an administrator writes. Any other is the time of too many wrong passwords: what
#: strangers can bring about ends no token.
_LOCKED = "pwdAccountLockedTime"
_LOCKED_FOR_GOOD = "000001010000Z"

#: When an account ends in Active Directory, in 100 ns since 1601 (MS-ADA1, 2.1); two
#: values mean that it does not.
_FILE_TIME = "accountExpires"
_NEVER = (0, 2**63 - 1)
_FILE_TIME_OF_1970 = 116_444_736_000_000_000

#: When it ends in FreeIPA and in eDirectory, as a generalized time (RFC 4517, 3.3.13).
_TIMES = ("krbPrincipalExpiration", "loginExpirationTime")

DISABLED_ATTRIBUTES = (_CONTROL, *_SWITCHES, _LOCKED, _FILE_TIME, *_TIMES)

#: Answers to a bind that say no to the password, or to the account: not that
#: the directory is out of order. For 19 (too many failures) and 53 (locked) see
#: the 389 Directory Server.
NO = {
    19: "constraintViolation",
    32: "noSuchObject",
    48: "inappropriateAuthentication",
    49: "invalidCredentials",
    50: "insufficientAccessRights",
    53: "unwillingToPerform",
}
_INVALID_CREDENTIALS = 49

#: Active Directory answers 49 for all of these, too (MS-ERREF, Win32 error codes).
_DATA = re.compile(r"\bdata (?P<code>[0-9a-f]+)\b")
_REASONS = {
    "530": "the account may not log in at this time",
    "531": "the account may not log in from this machine",
    "532": "the password has expired",
    "533": "the account is disabled",
    "701": "the account has expired",
    "773": "the password must be changed first",
    "775": "the account is locked",
}


def why_disabled(entry: Entry, now: float) -> str:
    """
    Return what in an entry says that its account is disabled, or over; '' for nothing.

    `now` is in seconds since 1970. What is not understood says nothing.
    """
    for value in entry.values(_CONTROL):
        if re.fullmatch("-?[0-9]{1,10}", value) and int(value) & _ACCOUNT_DISABLED:
            return f"{_CONTROL} is {value}, which has the bit of a disabled account"
    for switch in _SWITCHES:
        if any(value.lower() == "true" for value in entry.values(switch)):
            return f"{switch} is true"
    if _LOCKED_FOR_GOOD in entry.values(_LOCKED):
        return f"{_LOCKED} is {_LOCKED_FOR_GOOD}"
    for attribute, value, end in _ends(entry):
        if end <= now:
            return f"{attribute} is {value}, which is over"
    return ""


def _ends(entry: Entry) -> Iterator[tuple[str, str, float]]:
    """Yield what says when an account ends, and that time in seconds since 1970."""
    for value in entry.values(_FILE_TIME):
        if re.fullmatch("[0-9]{1,19}", value) and int(value) not in _NEVER:
            yield _FILE_TIME, value, (int(value) - _FILE_TIME_OF_1970) / 10_000_000
    for attribute in _TIMES:
        for value in entry.values(attribute):
            try:
                end = datetime.strptime(value, "%Y%m%d%H%M%SZ")
            except ValueError:
                continue
            yield attribute, value, end.replace(tzinfo=timezone.utc).timestamp()


def why_refused(answer: Answer) -> str:
    """Return why a bind is refused; '' for a wrong password, and where it is not."""
    if answer.code == _INVALID_CREDENTIALS:
        data = _DATA.search(answer.message)
        return _REASONS.get(data["code"], "") if data is not None else ""
    return f"the directory answers {answer}" if answer.code in NO else ""
