"""
What somebody has pasted, as a question: which host, which repository, what to do there.

References, URLs of the API or of a token service, scopes, challenges and request lines
are taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from regbroker.errors import HTTPError
from regbroker.protocol.challenges import parse_challenges
from regbroker.protocol.names import (
    WANTED_ACTIONS,
    Action,
    is_digest,
    is_tag,
    parse_path,
)
from regbroker.protocol.queries import values
from regbroker.protocol.scopes import Scope, parse_scopes

#: What comes before a reference in the words of skopeo, helm and others.
_TRANSPORT = re.compile(r"(?:docker|oci|docker-daemon)://|docker:/{0,2}(?=[a-z])")

#: What a log has, or a tool that shows requests.
_REQUEST_LINE = re.compile(
    r"(?:> )?(?P<method>GET|HEAD|POST|PUT|PATCH|DELETE) "
    r"(?P<target>(?:https?://|/)\S+)(?: HTTP/[0-9.]+)?"
)

#: A whole text in quotes, as scripts and YAML have it.
_QUOTED = re.compile(r"""^(["'`])(.*)\1$""", re.DOTALL)


class NotUnderstood(ValueError):
    """The text is no question; it says what would be one."""


@dataclass(frozen=True)
class Question:
    """
    One repository on one host.

    `host` is empty where the text names none: then there is one registry to think of.
    `source` is the ``ns`` of a mirror's request. `actions` are those that the text
    itself asks for.
    """

    host: str
    name: str
    reference: str = ""
    actions: tuple[str, ...] = ()
    source: str = ""

    @property
    def bare_host(self) -> str:
        """The host without its port."""
        host = self.host
        return host if host.endswith("]") else host.rsplit(":", 1)[0]


def parse_question(text: str) -> tuple[Question, ...]:
    """
    Return what a text asks for; a challenge may ask for several repositories.

    Raises `NotUnderstood`, or `HTTPError` as the service would.
    """
    try:
        return _parse(_QUOTED.sub(r"\2", text.strip()))
    except NotUnderstood:
        raise
    except ValueError as error:
        # urlsplit says so of brackets that are no address.
        raise NotUnderstood(f"not understood: {error}") from None


def _parse(text: str) -> tuple[Question, ...]:
    if re.match(r"(?i)(?:www-authenticate\s*:\s*)?(?:bearer|basic)\s", text):
        return _of_challenge(re.sub(r"(?i)^www-authenticate\s*:\s*", "", text))
    line = _REQUEST_LINE.fullmatch(text)
    if line is not None:
        return _of_url(line["target"], line["method"])
    if re.match(r"https?://", text) or text.startswith("/"):
        return _of_url(text)
    if re.match(r"(?:repository|registry)(?:\([a-z0-9]+\))?:", text):
        return _of_scopes("", text)
    if re.search(r"\s", text):
        raise NotUnderstood(
            "not understood; write one NAME:TAG, URL, scope, challenge or request line"
        )
    return (_of_reference(_TRANSPORT.sub("", text, count=1)),)


def _of_challenge(text: str) -> tuple[Question, ...]:
    for challenge in parse_challenges([text]):
        scope = challenge.get("scope")
        if scope:
            return _of_scopes(urlsplit(challenge.realm or "").netloc, scope)
    raise NotUnderstood("the challenge has no scope, so it is about no repository")


def _of_url(text: str, method: str = "") -> tuple[Question, ...]:
    url = urlsplit(text)
    scopes = " ".join(values(url.query, "scope"))
    if scopes:
        return _of_scopes(url.netloc, scopes)
    if not url.path.startswith("/v2/"):
        # What people copy from a browser.
        return (_of_reference(f"{url.netloc}{url.path}"),)
    target = parse_path(url.path, extensions=True)
    if target.name is None:
        raise NotUnderstood(
            f"{url.path} is about the whole registry, and no repository; write "
            "HOST/NAME"
        )
    source = next(iter(values(url.query, "ns")), "")
    reference = target.reference or ""
    question = Question(url.netloc.lower(), target.name, reference, (), source.lower())
    action = target.action_of(method or "GET")
    if method or action is not Action.PULL:
        question = replace(question, actions=WANTED_ACTIONS[action])
    return (question,)


def _of_scopes(host: str, text: str) -> tuple[Question, ...]:
    try:
        scopes = parse_scopes([text])
    except HTTPError as error:
        raise NotUnderstood(error.message) from None
    questions = tuple(_of_scope(host, scope) for scope in scopes if scope.is_repository)
    if not questions:
        raise NotUnderstood(
            f"'{text}' is about no repository; write repository:NAME:ACTIONS"
        )
    return questions


def _of_scope(host: str, scope: Scope) -> Question:
    actions = scope.actions
    if "*" in actions:
        actions = ("pull", "push", "delete")
    return Question(host.lower(), scope.name.removeprefix(f"{host}/"), "", actions)


def _of_reference(text: str) -> Question:
    host, name = "", text
    first, slash, rest = text.partition("/")
    # As docker has it: a host has a dot, a port, or is localhost.
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, name = first, rest
    name, _, digest = name.partition("@")
    before, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name = before
        if not is_tag(tag):
            raise NotUnderstood(f"'{tag}' is no tag; write NAME:TAG or NAME@DIGEST")
    if digest and not is_digest(digest):
        raise NotUnderstood(f"'{digest}' is no digest; write NAME@sha256:...")
    return Question(host.lower(), name, digest or (tag if colon else ""))
