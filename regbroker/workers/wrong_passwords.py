"""
Wrong passwords are counted by the process in front, for all workers.

A worker asks it before each check, and a client that is told of its wrong password can
be sure that it is counted: so however attempts are spread over workers, as many get
through as with one process. What is counted outlives workers and reloads.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import asdict
from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.internet.error import ConnectionLost

from regbroker.accounts.principals import MAX_USER_LENGTH
from regbroker.accounts.throttle import Throttle, Verdict
from regbroker.accounts.throttling import Throttling
from regbroker.errors import AccountsUnavailable
from regbroker.runtime.messages import MessageChannel, Values

#: The kind of message that a worker sends.
KIND = "password"

#: Seconds that the process in front has to answer. Docker gives a token request 15 s.
ANSWER_SECONDS = 5.0


class CountedInFront(Throttling):
    """Has the process at the other end of `channel` count, for ``[accounts NAME]``."""

    def __init__(self, channel: MessageChannel, name: str) -> None:
        self._channel = channel
        self._name = name

    async def before(self, address: str, user: str) -> Verdict:
        return Verdict(**await self._ask("before", address, user))

    async def refusal(self, address: str, user: str) -> int | None:
        answer = await self._ask("refusal", address, user)
        seconds: int | None = answer["seconds"]
        return seconds

    async def is_good(self, address: str, user: str) -> bool:
        answer = await self._ask("is_good", address, user)
        return bool(answer["is_good"])

    async def failed(self, address: str, user: str) -> None:
        # The client is told after that, and may come again anywhere.
        await self._ask("failed", address, user)

    async def forgive(self, address: str, user: str) -> None:
        self._channel.tell(KIND, self._values("forgive", address, user))

    async def succeeded(self, address: str, user: str) -> None:
        self._channel.tell(KIND, self._values("succeeded", address, user))

    def _values(self, call: str, address: str, user: str) -> Values:
        return {
            "accounts": self._name,
            "call": call,
            "address": address,
            # More of it makes no difference; see `Throttle`.
            "user": user[:MAX_USER_LENGTH],
        }

    async def _ask(self, call: str, address: str, user: str) -> Values:
        values = self._values(call, address, user)
        try:
            return await self._channel.ask(KIND, values, (), ANSWER_SECONDS)
        except (ConnectionLost, TimeoutError):
            raise AccountsUnavailable(
                "wrong passwords cannot be counted, so none is checked"
            ) from None


class WrongPasswords:
    """Counts for the workers; `now` returns seconds, and never goes back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        #: By the name of the accounts.
        self._throttles: dict[str, Throttle] = {}

    def keep(self, names: Container[str]) -> None:
        """Forget what is not about these accounts."""
        for name in [name for name in self._throttles if name not in names]:
            del self._throttles[name]

    def hear(self, values: Values) -> Values:
        """Answer a `CountedInFront`."""
        name = values["accounts"]
        if name not in self._throttles:
            self._throttles[name] = Throttle(self._now)
        throttle = self._throttles[name]
        who = values["address"], values["user"]
        answers: dict[str, Callable[[], Any]] = {
            "before": lambda: asdict(throttle.before(*who)),
            "refusal": lambda: {"seconds": throttle.refusal(*who)},
            "is_good": lambda: {"is_good": throttle.is_good(*who)},
            "failed": lambda: throttle.failed(*who),
            "forgive": lambda: throttle.forgive(*who),
            "succeeded": lambda: throttle.succeeded(*who),
        }
        return answers[values["call"]]() or {}
