"""
How real registries speak of logins and rights, as a table.

A `Habit` is what one of them does; `Manners` is such a registry's memory: its users,
what was shown to it, and what it answers. Who serves it (a scripted upstream, or a
front before a real registry) asks `Manners.answer`, and serves what that lets pass.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

EXPIRED = "Your Authorization Token has expired. Please run 'aws ecr get-login'"


@dataclass(frozen=True)
class Answer:
    """A status, headers and a body."""

    status: int
    headers: tuple[str, ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Habit:
    """
    What a registry does.

    Challenges are templates: `{url}` is the registry's own, `{scope}` what the request
    needs, as the registry says it. `lacking` is the answer to who is somebody, and has
    no right; without a challenge in it, `challenge` is repeated.
    """

    name: str
    challenge: str
    #: ``/v2/`` lets everybody in.
    ping_passes: bool = False
    #: What the ping's challenge says besides.
    ping_scope: str = ""
    lacking: tuple[int, str] = (401, 'error="insufficient_scope"')
    #: Of a login that was good once: None says that it is as any wrong one.
    expired: Answer | None = None
    #: The action that lists want besides, and instead, of ``pull``.
    list_action: str = "pull"
    #: Where its token service is.
    token_path: str = "/token"
    #: The token service sends there from elsewhere, with this status.
    redirect_status: int = 0
    #: What the token service says to a login that is wrong.
    wrong_status: int = 401
    #: What the catalog is answered with, whatever somebody brings for it.
    catalog: str = ""


def error(code: str, message: str) -> bytes:
    """An OCI error document."""
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


BEARER = 'Bearer realm="{url}/token",service="up"{scope}'

DISTRIBUTION = Habit("distribution", BEARER)
ECR = Habit(
    "ecr",
    'Basic realm="{url}/",service="ecr.amazonaws.com"',
    lacking=(403, ""),
    expired=Answer(403, (), error("DENIED", EXPIRED)),
)
NEXUS = Habit(
    "nexus", 'Basic realm="Sonatype Nexus"', ping_passes=True, lacking=(403, "")
)
NEXUS_TOKENS = Habit("nexus-tokens", BEARER, ping_passes=True)
ZOT = Habit("zot", BEARER, ping_scope="repository::pull", lacking=(403, ""))
ZOT_OPEN = Habit("zot-open", 'Basic realm="zot"', ping_passes=True, lacking=(403, ""))
HARBOR = Habit(
    "harbor",
    BEARER,
    lacking=(401, 'Basic realm="harbor-registry"'),
    catalog='Basic realm="harbor-registry"',
)
QUAY = Habit("quay", BEARER, lacking=(401, ""))
ACR = Habit("acr", BEARER, list_action="metadata_read")
ICR = Habit("icr", BEARER, lacking=(403, 'error="insufficient_scope"'))
GOOGLE = Habit(
    "google",
    'Bearer realm="{url}/v2/token",service="europe-docker.pkg.dev"{scope}',
    lacking=(403, ""),
    token_path="/v2/token",
)
HUB = Habit("hub", 'Bearer realm="{url}/token",service="registry.docker.io"{scope}')
GITHUB = Habit("github", BEARER, lacking=(403, ""), wrong_status=403)
ARTIFACTORY = Habit(
    "artifactory", 'Basic realm="Artifactory"', ping_passes=True, lacking=(401, "")
)
REDIRECTING = Habit("redirecting", BEARER, redirect_status=307)

#: All of them, for what is to hold in front of each.
HABITS = (
    DISTRIBUTION,
    ECR,
    NEXUS,
    NEXUS_TOKENS,
    ZOT,
    ZOT_OPEN,
    HARBOR,
    QUAY,
    ACR,
    ICR,
    GOOGLE,
    HUB,
    GITHUB,
    ARTIFACTORY,
    REDIRECTING,
)


@dataclass(frozen=True)
class Shown:
    """A login that was shown, and how it was: ``wrong``, ``right``, ``expired``."""

    user: str
    password: str
    verdict: str


@dataclass
class Manners:
    """
    One registry with a habit.

    `users` are passwords by user, `rights` the repositories of each; of the user ``""``
    those that everybody may read. `url` is where it is. After `lock_after` wrong logins
    in a row an account is locked, and its right login is refused as well.
    """

    habit: Habit
    url: str = ""
    users: dict[str, str] = field(default_factory=dict)
    rights: dict[str, set[str]] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    shown: list[Shown] = field(default_factory=list)
    token_requests: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    lock_after: int = 0
    locked: set[str] = field(default_factory=set)
    #: Answered before anything else, once each.
    moods: list[Answer] = field(default_factory=list)
    _tokens: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    _in_a_row: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> int:
        """How often a login was shown that is not right, or not any more."""
        return sum(shown.verdict != "right" for shown in self.shown)

    def forget(self) -> None:
        """Count anew."""
        self.shown.clear()
        self.token_requests.clear()
        self.requests.clear()

    def forget_tokens(self) -> None:
        """Take none of the tokens given so far any more, as after a change of keys."""
        self._tokens = dict.fromkeys(self._tokens, ("", ()))

    def asked(self, part: str = "") -> list[tuple[str, str, int]]:
        """Requests other than pings whose target has `part` in it."""
        return [one for one in self.requests if one[1] != "/v2/" and part in one[1]]

    def answer(self, method: str, target: str, authorization: str) -> Answer | None:
        """Answer a request; None lets it pass to what is behind."""
        path, _, query = target.partition("?")
        if path.removeprefix("/moved") == self.habit.token_path:
            if method == "POST":
                # As Google's, which takes none.
                return Answer(404)
            return self._token(path, query, authorization)
        found = self.moods.pop(0) if self.moods else None
        if found is None:
            found = self._registry(method, path, authorization)
        if found is None and method == "POST":
            found = self._mount(query, authorization)
        self.requests.append((method, target, found.status if found else 200))
        return found

    # The registry.

    def _registry(self, method: str, path: str, authorization: str) -> Answer | None:
        if path == "/v2/":
            if self.habit.ping_passes and not authorization:
                return None
            user = self._who(authorization)
            if isinstance(user, Answer):
                return user
            return None if user is not None else self._challenge(self.habit.ping_scope)
        if path == "/v2/_catalog" and self.habit.catalog:
            return self._challenge(more=self.habit.catalog)
        name, action = _asked(method, path)
        if action == "pull" and name in self.rights.get("", ()) and not authorization:
            return None
        wanted = action
        if path.endswith("/tags/list"):
            wanted = self.habit.list_action
        scope = f"repository:{name}:{wanted}"
        scheme, _, value = authorization.partition(" ")
        if scheme == "Bearer":
            granted = self._tokens.get(value)
            if granted is not None and scope in granted[1]:
                return None
            return self._lacking(scope)
        user = self._who(authorization)
        if isinstance(user, Answer):
            return user
        if user is None:
            return self._challenge(scope)
        return None if name in self.rights.get(user, ()) else self._lacking(scope)

    def _mount(self, query: str, authorization: str) -> Answer | None:
        """Refuse a mount from what this may not read; many registries do."""
        given = dict(parse_qsl(query))
        if "mount" not in given or "from" not in given:
            return None
        target = f"/v2/{given['from']}/blobs/{given['mount']}"
        return self._registry("GET", target, authorization)

    def _who(self, authorization: str) -> str | Answer | None:
        """Who brings this: a user, nobody (None), or the answer to a bad login."""
        scheme, _, value = authorization.partition(" ")
        if scheme == "Bearer":
            granted = self._tokens.get(value)
            return None if granted is None else granted[0]
        if scheme != "Basic":
            return None
        user, password = parse_basic(value)
        verdict = self._judge(user, password)
        if verdict == "expired" and self.habit.expired is not None:
            return self.habit.expired
        return user if verdict == "right" else None

    def _judge(self, user: str, password: str) -> str:
        verdict = "right" if user and self.users.get(user) == password else "wrong"
        if password in self.expired:
            verdict = "expired"
        elif user in self.locked:
            verdict = "wrong"
        self.shown.append(Shown(user, password, verdict))
        self._in_a_row[user] = 0 if verdict == "right" else self._in_a_row[user] + 1
        if self.lock_after and self._in_a_row[user] >= self.lock_after:
            self.locked.add(user)
        return verdict

    def _challenge(self, scope: str = "", more: str = "", status: int = 401) -> Answer:
        given = "" if not scope else f',scope="{scope}"'
        text = self.habit.challenge.format(url=self._realm_url, scope=given)
        if more:
            text = more if more.startswith("Basic") else f"{text},{more}"
        headers = (f"WWW-Authenticate: {text}",) if status == 401 or more else ()
        code = "UNAUTHORIZED" if status == 401 else "DENIED"
        return Answer(status, headers, error(code, "access to the resource is denied"))

    def _lacking(self, scope: str) -> Answer:
        status, more = self.habit.lacking
        return self._challenge(scope, more, status)

    @property
    def _realm_url(self) -> str:
        return f"{self.url}/moved" if self.habit.redirect_status else self.url

    # The token service.

    def _token(self, path: str, query: str, authorization: str) -> Answer:
        if path.startswith("/moved"):
            location = f"Location: {self.url}{self.habit.token_path}?{query}"
            return Answer(self.habit.redirect_status, (location,))
        scopes = tuple(v for n, v in parse_qsl(query) if n == "scope")
        user = ""
        if authorization:
            user, password = parse_basic(authorization.partition(" ")[2])
            if self._judge(user, password) != "right":
                self.token_requests.append((user, scopes))
                status = self.habit.wrong_status
                return Answer(status, (), error("UNAUTHORIZED", "wrong password"))
        self.token_requests.append((user, scopes))
        if self.moods:
            return self.moods.pop(0)
        granted = []
        for scope in " ".join(scopes).split():
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            if kind == "repository" and name in self._readable(user):
                may = actions.split(",") if user else ["pull"]
                granted += [f"repository:{name}:{action}" for action in may]
        token = f"token-{len(self._tokens)}"
        self._tokens[token] = user, tuple(granted)
        body = json.dumps({"token": token, "expires_in": 1800}).encode()
        return Answer(200, ("Content-Type: application/json",), body)

    def _readable(self, user: str) -> set[str]:
        return self.rights.get(user, set()) | self.rights.get("", set())


def _asked(method: str, path: str) -> tuple[str, str]:
    """The repository that a request is about, and what is to be done to it."""
    name = path.removeprefix("/v2/")
    for part in ("/manifests/", "/blobs/", "/tags/", "/referrers/"):
        name = name.partition(part)[0]
    return name, "pull" if method in ("GET", "HEAD") else "push"


def parse_basic(value: str) -> tuple[str, str]:
    """User and password of Basic credentials, empty for what is none."""
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    user, _, password = decoded.partition(":")
    return user, password
