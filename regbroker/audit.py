"""
The audit log: who has logged in, was refused, has pushed or deleted, and with which
configuration.

Events have the namespace `NAMESPACE`, and nothing else has. They are made from the
`regbroker.events.Event` of each request that is over, and have no password and no
token. `docs/logs.md` is printed from these tables.
"""

from __future__ import annotations

from twisted.logger import Logger

from regbroker.events import Event, publish
from regbroker.runtime.logfmt import Fields, LineFormat

NAMESPACE = "regbroker.audit"

_log = Logger(NAMESPACE)

#: The actions that are recorded, with their meaning.
ACTIONS = {
    "login": "a client has shown a password, or a robot token or a JWT in its place, "
    "to the token service or with a ping; elsewhere, only what was refused is recorded",
    "access": "an account or a token was not enough for what was asked",
    "push": "a manifest was pushed, or should have been",
    "mount": "a blob of another repository was mounted; `reference` is that repository",
    "delete": "a manifest, a tag or a blob was deleted, or should have been",
    "configuration": "a configuration was taken, when regbroker started or at a "
    "reload, or was refused; `reference` is its file",
}

OUTCOMES = {
    "accepted": "it was done",
    "refused": "the password, the rights or the configuration were not good",
    "throttled": "there were too many wrong passwords before it",
    "failed": "it did not end, or ended with an error that is not about rights",
}

#: Names of the fields, with their meaning; in this order.
FIELDS = {
    "action": "what was done",
    "outcome": "how it ended",
    "request_id": "the request's id, as in the request's own line",
    "client": "the client's address, as far as trusted proxies tell",
    "user": "the user that has logged in, or should have been logged in",
    "token": "the id of the robot token that was shown, or that the client's token was "
    "issued for",
    "identity": "the `[identity NAME]` whose issuer vouches for the user",
    "issuer": "`iss` of the user's JWT",
    "subject": "`sub` of the user's JWT",
    "claims": "the other claims of it that the rules look at, as JSON",
    "registry": "the host that was asked for, or the section that serves it",
    "repository": "the repository as clients call it; at a login maybe several",
    "reference": "the tag or the digest that was pushed or deleted",
    "digest": "the digest of what was pushed",
    "status": "the status of the answer",
    "code": "the code of the error, as the client has got it",
    "reason": "why a robot token, an identity token, a JWT or a client's certificate "
    "was refused; of a refused configuration, the first problem",
}

_line_of = LineFormat(FIELDS)

_LOGINS = {"limited": "throttled", "unknown": "failed"}

_CHANGES = {
    ("manifest", "PUT"): "push",
    ("manifest", "DELETE"): "delete",
    ("blob", "DELETE"): "delete",
}


def tell_request(event: Event) -> None:
    """Record a request that is over, if its action is one of `ACTIONS`."""
    action, outcome = _audited(event)
    if not action:
        return
    reference = None
    if action == "mount":
        reference = event.mounted_from
    elif action in ("push", "delete"):
        reference = event.path.rpartition("/")[2]
    _tell(
        {
            "action": action,
            "outcome": outcome,
            "request_id": event.request_id or None,
            "client": event.client or None,
            "user": event.user or None,
            "token": event.token_id or None,
            "identity": event.identity or None,
            "issuer": event.issuer or None,
            "subject": event.subject or None,
            "claims": event.claims or None,
            "registry": event.registry or None,
            "repository": event.public_name or None,
            "reference": reference,
            "digest": event.digest or None,
            "status": event.status or None,
            "code": event.code or None,
            "reason": event.login_problem or None,
        }
    )


def tell_configuration(outcome: str, file: str, reason: str | None = None) -> None:
    """Tell that a configuration was ``accepted``, ``refused``, or has ``failed``."""
    fields: Fields = dict.fromkeys(FIELDS)
    fields.update(
        action="configuration", outcome=outcome, reference=file, reason=reason
    )
    _tell(fields)


def _tell(fields: Fields) -> None:
    """Publish a record, whose `FIELDS` are all there, in order."""
    summary = f"{fields['action']} {fields['outcome']}"
    publish(_log, _line_of(fields), summary, fields)


def login_outcome(event: Event) -> str:
    """Return how a request with a password, or a signed login, ended for that."""
    status = event.status
    if status == 429:
        return "limited"
    # A token service that refuses a password may say 403 (GitLab, GitHub). Of an
    # exchange of tokens, ours says 400 (RFC 6749, 5.2).
    is_refused = status == 403 or event.code == "UNAUTHORIZED"
    if status == 401 or (is_refused and event.endpoint == "token"):
        return "refused"
    if status == 0 or status >= 500:
        return "unknown"
    return "accepted"


def _audited(event: Event) -> tuple[str, str]:
    """Return action and outcome; two empty texts for what is not told of."""
    status = event.status
    if event.credentials not in ("", "token", "other"):
        login = login_outcome(event)
        if event.endpoint in ("token", "base") or login in ("refused", "limited"):
            return "login", _LOGINS.get(login, login)
    elif status == 401 and not event.credentials:
        # It tells the client where to log in.
        return "", ""
    is_refused = status in (401, 403)
    action = _CHANGES.get((event.endpoint, event.method))
    if action is not None:
        if is_refused:
            return action, "refused"
        return action, "accepted" if 200 <= status < 300 else "failed"
    if event.mounted_from and status == 201:
        return "mount", "accepted"
    return ("access", "refused") if is_refused else ("", "")
