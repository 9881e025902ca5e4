"""
Discovery: which credentials an upstream wants, and who issues its tokens.

A registry says so in its challenges: in the 401 of its ping mostly, but some let
the ping pass and challenge at the repositories alone (Nexus and zot with anonymous
reading), so every challenge counts that it sends. What the configuration says
counts before all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from regbroker.protocol.challenges import Challenge, find_bearer
from regbroker.protocol.names import PING_PATH
from regbroker.protocol.origins import Origin
from regbroker.protocol.realms import RealmRefused, allowed_realm, parse_realm
from regbroker.protocol.urls import Url


@dataclass(frozen=True)
class Discovered:
    """
    What an upstream has said, and the configuration about it.

    `challenges` are what a ping without credentials is to be answered with, empty
    when it wants none. `realm` is the token service; None when there is none, or
    when it was refused, and then `problem` says why. `proof` is a target below the
    base path that asks for Basic credentials; empty when nothing does.
    """

    challenges: tuple[Challenge, ...] = ()
    realm: Url | None = None
    service: str = ""
    problem: str = ""
    proof: str = ""


@dataclass(frozen=True)
class _Answer:
    """What one answer says: its Bearer challenge, judged, and Basic."""

    realm: Url | None = None
    service: str = ""
    problem: str = ""
    proof: str = ""


class Discovery:
    """
    Gathers what is discovered about one upstream.

    `realm` and `service` are the configuration's, None or empty without; else only a
    realm is believed that `regbroker.protocol.realms.allowed_realm` allows to `origin`.
    """

    def __init__(
        self,
        origin: Origin,
        realm: str | None = None,
        service: str | None = None,
        token_hosts: Iterable[str] = (),
    ) -> None:
        self._origin = origin
        self._realm = parse_realm(realm) if realm else None
        self._service = service or ""
        self._token_hosts = tuple(token_hosts)
        self._challenges: tuple[Challenge, ...] = ()
        self._ping = _Answer()
        self._repository = _Answer()

    def pinged(
        self, challenges: tuple[Challenge, ...], problem: str = ""
    ) -> Discovered:
        """Note what the ping is challenged with, nothing if it passes or has none."""
        self._challenges = challenges
        self._ping = self._parsed(challenges, PING_PATH)
        if problem:
            self._ping = _Answer(problem=problem)
        return self.discovered

    def challenged(
        self, challenges: tuple[Challenge, ...], proof: str, had_credentials: bool
    ) -> Discovered:
        """
        Note the challenges of another answer.

        `proof` is a target that reads of the same repository. What is said to
        credentials may be about their rights (Harbor's Basic for a good token), so
        it adds to what is known and takes nothing away.
        """
        answer, before = self._parsed(challenges, proof), self._repository
        if answer == _Answer():
            return self.discovered
        if before.realm is not None and answer.realm is None:
            if not had_credentials and not answer.problem:
                # It asks for Basic by now.
                self._repository = answer
                return self.discovered
            answer = replace(before, proof=answer.proof)
        first, second = answer.proof, before.proof
        if had_credentials:
            # What was asked for there may be what they have no right to.
            first, second = second, first
        self._repository = replace(answer, proof=first or second)
        return self.discovered

    @property
    def discovered(self) -> Discovered:
        """All that is known by now."""
        ping, repository = self._ping, self._repository
        challenges = self._challenges
        proof = ping.proof or repository.proof
        if self._realm is not None:
            service = self._service or ping.service or repository.service
            if find_bearer(challenges) is None:
                # What is written counts, whatever the ping says.
                written = Challenge("bearer", _parameters(self._realm, service))
                challenges = (written, *challenges)
            return Discovered(challenges, self._realm, service, "", proof)
        answer = ping if ping.realm or ping.problem else repository
        return Discovered(
            challenges,
            answer.realm,
            answer.service,
            answer.problem,
            proof,
        )

    def _parsed(self, challenges: tuple[Challenge, ...], proof: str) -> _Answer:
        if not any(challenge.scheme == "basic" for challenge in challenges):
            proof = ""
        bearer = find_bearer(challenges)
        if bearer is None:
            return _Answer(proof=proof)
        service = bearer.get("service") or ""
        try:
            realm = allowed_realm(bearer.realm or "", self._origin, self._token_hosts)
        except RealmRefused as error:
            return _Answer(None, service, str(error), proof)
        return _Answer(realm, service, "", proof)


def _parameters(realm: Url, service: str) -> tuple[tuple[str, str], ...]:
    given = (("realm", str(realm)), ("service", service))
    return tuple((name, value) for name, value in given if value)
