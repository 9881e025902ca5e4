"""The steps with an upstream, in the order in which a client takes them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

from regbroker.cli.doctor.answers import Answer
from regbroker.cli.doctor.examiner import Examiner, until_stopped
from regbroker.cli.doctor.registry_rules import (
    clock_difference,
    clock_trouble,
    content_trouble,
    granted,
    ping_trouble,
    redacted,
    rights_trouble,
    size_words,
    storage_trouble,
    token_of,
    token_trouble,
)
from regbroker.cli.doctor.steps import Step, Trouble
from regbroker.protocol.addresses import is_public
from regbroker.protocol.challenges import parse_challenges
from regbroker.protocol.origins import Origin
from regbroker.protocol.scopes import repository_scope
from regbroker.protocol.urls import Url, parse_url
from regbroker.settings.config import UpstreamConfig
from regbroker.upstream.credentials import Login
from regbroker.upstream.discovery import Discovered, Discovery

#: What docker and containerd accept as a manifest.
_MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)

#: Bytes of a blob that are read.
_FIRST_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """
    What is asked for at an upstream.

    `name` is the upstream's own, empty for no repository. `follows` says whether
    regbroker follows redirects, so that its rules count.
    """

    name: str = ""
    reference: str = ""
    login: Login | None = None
    follows: bool = False

    @property
    def who(self) -> str:
        """Whom the upstream sees."""
        return f"'{self.login.user}'" if self.login else "somebody without a login"


async def examine_upstream(
    reactor: Any, upstream: UpstreamConfig, wanted: Wanted, timeout: float
) -> list[Step]:
    """Return the steps, up to the first that fails."""
    examination = _Examination(reactor, upstream, wanted, timeout)
    await until_stopped(examination.run())
    return examination.examiner.steps


class _Examination:
    def __init__(
        self, reactor: Any, upstream: UpstreamConfig, wanted: Wanted, timeout: float
    ) -> None:
        assert upstream.origin is not None
        section = f"upstream {upstream.name}"
        self.examiner = Examiner(reactor, f"[{section}] {upstream.url}", timeout)
        self._upstream = upstream
        self._origin: Origin = upstream.origin
        self._wanted = wanted
        self._where = f"[{section}] url"
        self._ca_option = f"[{section}] ca-file"
        self._ca_file = Path(upstream.ca_file) if upstream.ca_file else None

    async def run(self) -> None:
        await self._reach(self._origin, self._where)
        answer = await self._ping()
        headers = await self._authorize(answer)
        if self._wanted.name and self._wanted.reference:
            digest = await self._manifest(headers)
            if digest:
                await self._blob(headers, digest)

    async def _reach(self, origin: Origin, where: str, prefix: str = "") -> None:
        await self.examiner.reach(
            origin,
            where,
            prefix=prefix,
            ca_file=self._ca_file,
            ca_option=self._ca_option,
        )

    async def _ask(
        self,
        name: str,
        path: str,
        headers: tuple[tuple[str, str], ...] = (),
        **others: Any,
    ) -> tuple[Answer, float]:
        return await self.examiner.get(
            name,
            self._origin,
            f"{self._upstream.base_path}{path}",
            self._where,
            headers=headers,
            **others,
        )

    async def _ping(self) -> Answer:
        answer, seconds = await self._ask("ping", "/v2/")
        trouble = ping_trouble(answer, self._origin, self._where)
        self.examiner.note("ping", seconds, f"GET /v2/: {answer.status}", trouble)
        ahead = clock_difference(answer, datetime.now(timezone.utc))
        if ahead is not None:
            seen = "the same, within some seconds"
            if abs(ahead) > 5:
                seen = f"{ahead:+.0f} s"
            self.examiner.remark("clock", seen, clock_trouble(ahead))
        return answer

    async def _authorize(self, answer: Answer) -> tuple[tuple[str, str], ...]:
        """Return the headers that the requests after the ping bring."""
        upstream, login = self._upstream, self._wanted.login
        challenges = parse_challenges(answer.all("www-authenticate"))
        known = Discovery(
            self._origin, upstream.realm, upstream.service, upstream.token_hosts
        ).pinged(challenges)
        offered = [f"{c.scheme}" for c in challenges]
        if answer.status != 401 and known.realm is None:
            self.examiner.remark("challenge", "none: everybody may come in")
            return ()
        if known.problem:
            seen = "; ".join(answer.all("www-authenticate"))
            self.examiner.note(
                "challenge", 0.0, seen, Trouble(known.problem, self._write_realm())
            )
        if known.realm is None and "basic" in offered:
            self.examiner.remark("challenge", "Basic")
            return await self._basic(login)
        if known.realm is None:
            seen = "; ".join(answer.all("www-authenticate")) or "no challenge"
            self.examiner.note(
                "challenge",
                0.0,
                seen,
                Trouble(
                    "it answered 401 with no challenge that can be used: Bearer with "
                    "a realm, or Basic",
                    self._write_realm(),
                ),
            )
        assert known.realm is not None
        self.examiner.remark(
            "challenge", f"Bearer, tokens from {known.realm}, for '{known.service}'"
        )
        return await self._token(known, known.realm, login)

    def _write_realm(self) -> str:
        return (
            f"write 'realm = https://...' in [upstream {self._upstream.name}], if "
            "there is a token service"
        )

    async def _basic(self, login: Login | None) -> tuple[tuple[str, str], ...]:
        if login is None:
            return ()
        headers = (("Authorization", _basic(login)),)
        answer, seconds = await self._ask("login", "/v2/", headers)
        trouble = None
        if answer.status in (401, 403):
            trouble = Trouble(
                f"the registry does not take {self._wanted.who}: the user or the "
                f"password is wrong ({answer.status})",
                "check user and password",
            )
        self.examiner.note("login", seconds, f"{answer.status}", trouble)
        return headers

    async def _token(
        self, known: Discovered, realm: Url, login: Login | None
    ) -> tuple[tuple[str, str], ...]:
        wanted, where = self._wanted, "the realm that the registry names"
        if self._upstream.realm:
            where = f"[upstream {self._upstream.name}] realm"
        await self._reach(realm.origin, where, "token: ")
        query = []
        if known.service:
            query.append(f"service={quote(known.service, safe='')}")
        if wanted.name:
            scope = str(repository_scope(wanted.name, "pull"))
            query.append(f"scope={quote(scope, safe='')}")
        mark = "&" if "?" in realm.target else "?"
        target = realm.target + (mark + "&".join(query) if query else "")
        headers = (("Authorization", _basic(login)),) if login else ()
        answer, seconds = await self.examiner.get(
            "token",
            realm.origin,
            target,
            where,
            headers=headers,
        )
        trouble = token_trouble(answer, wanted.who)
        token = token_of(answer)
        actions = granted(token, wanted.name) if wanted.name else None
        if trouble is None and wanted.name:
            trouble = rights_trouble(actions, wanted.who, wanted.name)
        seen = f"{answer.status}"
        if token:
            seen += f", a token of {size_words(len(token))}"
        if actions:
            seen += f", grants {', '.join(actions)} for {wanted.name}"
        self.examiner.note("token", seconds, seen, trouble)
        return (("Authorization", f"Bearer {token}"),)

    async def _manifest(self, headers: tuple[tuple[str, str], ...]) -> str:
        """Return the digest of a blob of the image; empty without one."""
        wanted, reference = self._wanted, self._wanted.reference
        name = "manifest"
        # An index leads to a manifest, and no further.
        for _ in range(2):
            path = f"/v2/{wanted.name}/manifests/{reference}"
            accept = ("Accept", _MANIFESTS)
            answer, seconds = await self._ask(name, path, (*headers, accept))
            trouble = content_trouble(
                answer, f"manifest {reference}", wanted.name, wanted.who
            )
            kind = (answer.header("content-type") or "no type").partition(";")[0]
            seen = f"{answer.status}, {kind}, {size_words(len(answer.body))}"
            self.examiner.note(name, seconds, seen, trouble)
            below = answer.document.get("manifests")
            if not (isinstance(below, list) and below):
                return _blob_of(answer.document)
            reference = _digest(below[0])
            if not reference:
                return ""
            name = "of the index"
        return ""

    async def _blob(self, headers: tuple[tuple[str, str], ...], digest: str) -> None:
        wanted = self._wanted
        span = ("Range", f"bytes=0-{_FIRST_BYTES - 1}")
        path = f"/v2/{wanted.name}/blobs/{digest}"
        answer, seconds = await self._ask(
            "blob", path, (*headers, span), limit=_FIRST_BYTES
        )
        trouble = content_trouble(answer, f"blob {digest}", wanted.name, wanted.who)
        location = answer.header("location")
        if answer.status not in (200, 206) and location is None and trouble is None:
            trouble = Trouble(f"it answered {answer.status} without a Location")
        read = size_words(len(answer.body[:_FIRST_BYTES]))
        if location is not None and answer.status // 100 == 3:
            self.examiner.note("blob", seconds, f"{answer.status}: redirected", trouble)
            await self._redirect(path, location, span)
        else:
            seen = f"{answer.status}, the first {read}"
            self.examiner.note("blob", seconds, seen, trouble)

    async def _redirect(self, path: str, location: str, span: tuple[str, str]) -> None:
        here = f"{self._origin}{self._upstream.base_path}{path}"
        url = parse_url(urljoin(here, location.partition("#")[0]))
        shown = redacted(location)
        if url is None:
            self.examiner.note(
                "redirect",
                0.0,
                shown,
                Trouble("its Location is no URL", "let the registry's operator see it"),
            )
            return
        if self._origin.scheme == "https" and url.origin.scheme == "http":
            self.examiner.note(
                "redirect",
                0.0,
                shown,
                Trouble(
                    "it redirects from https to http, which no client should follow",
                    "let the registry's operator give its storage an https URL",
                ),
            )
        self.examiner.remark("redirect", f"to {shown}")
        where = f"where {self._origin.host} redirects to"
        await self.examiner.reach(
            url.origin,
            where,
            prefix="storage: ",
            ca_file=self._ca_file,
            ca_option=self._ca_option,
            allows=self._refusal(url.origin),
        )
        answer, seconds = await self.examiner.get(
            "storage",
            url.origin,
            url.target,
            where,
            headers=(span,),
            limit=_FIRST_BYTES,
        )
        read = size_words(len(answer.body[:_FIRST_BYTES]))
        self.examiner.note(
            "storage",
            seconds,
            f"{answer.status}, the first {read}",
            storage_trouble(answer, url.origin.host),
        )

    def _refusal(self, origin: Origin) -> Any:
        """Return what says why an address may not be followed to."""
        named = {*self._upstream.redirect_hosts, self._origin.host}

        def refusal(address: str) -> Trouble | None:
            if not self._wanted.follows or origin.host in named or is_public(address):
                return None
            return Trouble(
                f"regbroker does not follow the redirect: the address of "
                f"{origin.host}, {address}, is not public",
                f"if it is right, write 'redirect-hosts = {origin.host}' in "
                f"[upstream {self._upstream.name}]",
            )

        return refusal


def _basic(login: Login) -> str:
    pair = f"{login.user}:{login.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _blob_of(manifest: dict[str, Any]) -> str:
    layers = manifest.get("layers")
    candidates: Sequence[Any] = layers if isinstance(layers, list) else []
    return next(filter(None, map(_digest, [*candidates, manifest.get("config")])), "")


def _digest(descriptor: Any) -> str:
    found = descriptor.get("digest") if isinstance(descriptor, dict) else None
    return found if isinstance(found, str) else ""
