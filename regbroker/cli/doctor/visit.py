"""The values that the steps with one server share: what is asked, and of which side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regbroker.cli.doctor.answers import Answer
from regbroker.cli.doctor.examiner import Examiner
from regbroker.protocol.mirrors import with_ns
from regbroker.protocol.origins import Origin
from regbroker.upstream.credentials import Login

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Side:
    """
    A registry that is visited: an upstream, or regbroker itself.

    `where` is the option that names it, and `ca_option` the one that names its CA,
    empty where nobody is expected to know that. `section` is where to write what is
    missing, `source` the ``ns`` that a mirror is asked for. With `follows`,
    regbroker's rules for redirects count, and `redirect_hosts` are the exceptions.
    `names_are_in_tokens` says whether tokens, if they can be read, have the names that
    clients use.
    """

    origin: Origin
    where: str
    section: str
    base_path: str = ""
    source: str = ""
    realm: str | None = None
    service: str | None = None
    token_hosts: tuple[str, ...] = ()
    ca_file: Path | None = None
    ca_option: str = ""
    follows: bool = False
    redirect_hosts: tuple[str, ...] = ()
    names_are_in_tokens: bool = True


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for, with the name that this side has for it; empty for nothing."""

    name: str = ""
    reference: str = ""
    login: Login | None = None

    @property
    def client(self) -> str:
        """The client, as the side sees it."""
        return f"'{self.login.user}'" if self.login else "somebody without a login"


#: Nothing is asked for: a side is only looked at.
NOTHING = Wanted()


@dataclass(frozen=True)
class Visit:
    """The steps with one side: how its servers are reached and asked."""

    examiner: Examiner
    side: Side
    wanted: Wanted

    async def reach(
        self, origin: Origin, where: str, prefix: str = "", **others: Any
    ) -> None:
        """Reach a server of this side; raises `Stopped`."""
        await self.examiner.reach(
            origin,
            where,
            prefix=prefix,
            ca_file=self.side.ca_file,
            ca_option=self.side.ca_option,
            **others,
        )

    async def ask(
        self, name: str, path: str, headers: Headers = (), **others: Any
    ) -> tuple[Answer, float]:
        """Ask the registry itself; raises `Stopped`."""
        return await self.examiner.get(
            name,
            self.side.origin,
            with_ns(f"{self.side.base_path}{path}", self.side.source),
            self.side.where,
            headers=headers,
            **others,
        )
