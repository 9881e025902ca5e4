"""What answers of a registry, its token service and its storage mean: pure rules."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from regbroker.cli.doctor.answers import Answer
from regbroker.cli.doctor.steps import Trouble
from regbroker.protocol.origins import Origin

#: Seconds. A token lives for 60 s at least, and what is not yet valid is refused.
MAX_CLOCK_DIFFERENCE = 60.0


def overload(answer: Answer, server: str) -> Trouble | None:
    """Say that a server is overloaded or broken; None when it is neither."""
    if answer.status == 429:
        later = answer.header("retry-after")
        when = f"; it says to come again in {later} s" if later else ""
        return Trouble(
            f"{server} limits how often it is asked (429){when}",
            "wait, or log in: a limit is the account's or the address's",
        )
    if answer.status >= 500:
        return Trouble(
            f"{server} is broken or overloaded: it answered {answer.status}",
            "look at its own log; there is nothing to change here",
        )
    return None


def ping_trouble(answer: Answer, origin: Origin, where: str) -> Trouble | None:
    """Say why an answer to ``GET /v2/`` is not that of a registry."""
    if answer.status == 400 and b"SSL certificate" in answer.body:
        # nginx says it in HTTP.
        wants = b"No required" in answer.body
        return Trouble(
            "it wants a certificate of the client (400)"
            if wants
            else "it does not accept the certificate of regbroker (400)",
            "write client-certificate and client-key"
            if wants
            else "let the server's operator say which CA is trusted there",
        )
    if origin.scheme == "http" and answer.status == 400:
        return Trouble(
            "answered 400; does it speak https?",
            f"write https:// in {where}",
        )
    trouble = overload(answer, "the registry")
    if trouble is not None:
        return trouble
    if answer.status in (301, 302, 303, 307, 308):
        location = redacted(answer.header("location") or "")
        return Trouble(
            f"it redirects to {location}",
            f"write that in {where}, without /v2/",
        )
    if answer.is_page:
        return Trouble(
            f"it is not a registry: /v2/ answered {answer.status} with a web page",
            f"check host, port and path in {where}",
        )
    if answer.status == 401:
        return None
    if answer.status == 404:
        return Trouble(
            "it is not a registry, or not at this path: /v2/ is not found (404)",
            f"check the path in {where}",
        )
    if answer.status == 403:
        return Trouble(
            "it refuses this machine (403), whoever asks",
            "let its operator allow this address",
        )
    if answer.status != 200:
        return Trouble(
            f"/v2/ answered {answer.status}, which no registry does",
            f"check {where}",
        )
    known = answer.header("docker-distribution-api-version")
    if not known and answer.body.strip() not in (b"", b"{}", b"true", b'""'):
        return Trouble(
            "it is not a registry: /v2/ answered 200 with something else",
            f"check host, port and path in {where}",
        )
    return None


def clock_difference(answer: Answer, now: datetime) -> float | None:
    """Return by how many seconds a server's clock is ahead; None if it does not say."""
    try:
        return (
            parsedate_to_datetime(answer.header("date") or "") - now
        ).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None


def clock_trouble(ahead: float) -> Trouble | None:
    """Say that two clocks differ too much for tokens."""
    if abs(ahead) <= MAX_CLOCK_DIFFERENCE:
        return None
    how = "ahead of" if ahead > 0 else "behind"
    return Trouble(
        f"its clock is {abs(ahead):.0f} s {how} the clock here: tokens are refused as "
        "expired, or as not yet valid",
        "run NTP on both machines; timedatectl shows whether it does here",
    )


def token_trouble(answer: Answer, client: str) -> Trouble | None:
    """Say why a token service gave no token; `client` asked for one."""
    trouble = overload(answer, "the token service")
    if trouble is not None:
        return trouble
    if answer.status in (401, 403):
        return Trouble(
            f"the token service does not take {client}: the user or the password is "
            f"wrong ({answer.status})",
            "check user and password; some registries want a token in place of the "
            "password",
        )
    if answer.status == 404 or answer.is_page:
        return Trouble(
            f"there is no token service at this realm: it answered {answer.status}",
            "write realm, if the registry names a wrong one",
        )
    if answer.status != 200 or not token_of(answer):
        return Trouble(
            f"the token service answered {answer.status} without a token",
            "look at its own log",
        )
    return None


def token_of(answer: Answer) -> str:
    """Return the token of a token service's answer; empty without one."""
    document = answer.document
    for name in ("token", "access_token"):
        value = document.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def granted(token: str, name: str) -> Sequence[str] | None:
    """Return the actions that a token grants for a repository; None if it is opaque."""
    claims = _claims(token)
    access = claims.get("access")
    if not isinstance(access, list):
        return None
    granted_actions: list[str] = []
    for entry in access:
        if isinstance(entry, dict) and entry.get("name") == name:
            actions = entry.get("actions")
            granted_actions += (
                [str(each) for each in actions] if isinstance(actions, list) else []
            )
    return granted_actions


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "==="))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def rights_trouble(
    actions: Sequence[str] | None, client: str, name: str
) -> Trouble | None:
    """Say that a token lets nobody pull a repository."""
    if actions is None or "pull" in actions or "*" in actions:
        return None
    logged_in = f"{client} may log in, and" if client.startswith("'") else client
    return Trouble(
        f"{logged_in} has no right to pull {name}: the token grants "
        f"{', '.join(actions) or 'nothing'} there",
        "let the registry's operator grant it; a name that does not exist looks the "
        "same",
    )


def content_trouble(
    answer: Answer, what: str, name: str, client: str
) -> Trouble | None:
    """Say why a manifest or a blob of a repository was not given."""
    trouble = overload(answer, "the registry")
    if trouble is not None:
        return trouble
    if answer.status in (200, 206, 302, 303, 307, 308):
        return None
    code = answer.error_code
    if answer.status == 404:
        if code == "NAME_UNKNOWN":
            return Trouble(
                f"the repository {name} does not exist there",
                "check the namespace rule, and push an image first",
            )
        return Trouble(
            f"the repository {name} has no {what}"
            + (f" ({code})" if code else " (404)"),
            "check the tag; 'regbroker explain' says which name is asked for",
        )
    if answer.status in (401, 403):
        return Trouble(
            f"{client} has no right to pull {name}, or it does not exist "
            f"({answer.status}{f' {code}' if code else ''})",
            "let the registry's operator grant it",
        )
    return Trouble(f"{what} of {name}: it answered {answer.status} {code}".rstrip())


def storage_trouble(answer: Answer, host: str) -> Trouble | None:
    """Say why a storage did not give a blob."""
    if answer.status in (200, 206, 302, 303, 307, 308):
        return None
    if answer.status in (400, 401, 403):
        return Trouble(
            f"the storage {host} refuses the registry's own URL ({answer.status})",
            "look at the registry's keys for its storage, and at both clocks",
        )
    return Trouble(
        f"the storage {host} answered {answer.status}",
        "look at the storage behind the registry",
    )


def redacted(url: str) -> str:
    """Return a URL without its query, which may be signed."""
    before, mark, _ = url.partition("?")
    return before + ("?..." if mark else "")


def size_words(number: int) -> str:
    """Return a number of bytes as words."""
    return f"{number} byte{'' if number == 1 else 's'}"
