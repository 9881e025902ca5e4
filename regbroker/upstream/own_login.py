"""
The login of our own account: what it is, and when it is shown.

A login is shown by one request at a time, and by more as it is taken: a wrong password
is shown once, not once for each of those who come at the same moment. That holds for
those who fetch a token and for those who send Basic (`regbroker.upstream.login_turns`).
One that is refused is asked for anew, from where it comes, and tried if it is
another; else it is not shown again before a pause has passed, and then for nothing
but to log in (`regbroker.upstream.login_record`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.errors import Denied, HTTPError, OwnAccountRefused
from regbroker.upstream.credentials import Credentials, Login
from regbroker.upstream.login_record import LoginRecord
from regbroker.upstream.login_turns import Turn, Turns

OWN_ACCOUNT_REFUSED = "the upstream registry refuses regbroker's own account"
NO_RIGHT = "regbroker's own account has no right to this upstream"

#: How long it may take to find out whether a login is taken.
TRIAL_SECONDS = 15.0

T = TypeVar("T")

_log = Logger()


class OwnLoginRefused(Exception):
    """The upstream does not take a login; `status` is what it has answered."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the login was refused with status {status}")
        self.status = status


#: Logs in for nothing else, where some repositories are, by their names. Raises
#: `OwnLoginRefused`, or another error when the upstream does not say whether it takes
#: the login.
Prove = Callable[[Login, frozenset[str]], Awaitable[None]]


class OwnLogin:
    """
    The login at one upstream, whose name is `upstream`; `clock` is the reactor.
    """

    def __init__(
        self, upstream: str, credentials: Credentials, prove: Prove, clock: IReactorTime
    ) -> None:
        self._upstream = upstream
        self._credentials = credentials
        self._prove = prove
        self._clock = clock
        self._login: Login | None = None
        self._renew()

    def close(self) -> None:
        """End what is under way for credentials."""
        self._credentials.close()

    async def current(self) -> Login:
        """Return the login as it is now; raises `UpstreamUnavailable`."""
        return await self._credentials.get()

    async def another(self, login: Login) -> Login:
        """Return the login as it is by now, after that one was refused."""
        self._credentials.refused(login)
        return await self._credentials.get()

    async def use(
        self, about: frozenset[str], show: Callable[[Login, Turn], Awaitable[T]]
    ) -> T:
        """
        Return what `show` returns, who shows the login when it is its turn.

        The turn ends with `show`, unless that has kept it. `about` are the names of
        the repositories that it is for. `show` raises `OwnLoginRefused`, and is called
        once more if there is another login by then. Raises `OwnAccountRefused`,
        `Denied`, and what `show` raises besides.
        """
        login = await self.current()
        try:
            return await self._in_turn(login, about, show)
        except OwnLoginRefused:
            again = await self.another(login)
        if again == login:
            raise OwnAccountRefused(OWN_ACCOUNT_REFUSED)
        try:
            return await self._in_turn(again, about, show)
        except OwnLoginRefused as refusal:
            raise OwnAccountRefused(OWN_ACCOUNT_REFUSED) from refusal

    async def prove(self, login: Login, about: frozenset[str], seconds: float) -> None:
        """Log in, unless this login was taken within the last `seconds`."""
        if not self._record.is_confirmed(seconds):
            started = self._clock.seconds()
            await self._prove(login, about)
            self.confirmed(login, started)

    def was_taken(self, login: Login) -> bool:
        """Tell whether the upstream has ever taken a login."""
        return login == self._login and self._record.was_confirmed

    def is_lacking(self, login: Login, about: Iterable[str]) -> bool:
        """Tell whether a login is good, but has no right to what it is for."""
        return login == self._login and self._record.is_lacking(about)

    def confirmed(self, login: Login, started: float) -> None:
        """Note that a login was taken by a request made at `started`, in seconds."""
        if login != self._login:
            return
        if self._record.confirmed(started):
            _log.info(
                "[upstream {name}]: our own account is taken again",
                name=self._upstream,
            )
        self._turns.taken()

    def refused(
        self, login: Login, status: int, about: Iterable[str], started: float
    ) -> None:
        """Note that a login was refused to a request made at `started`."""
        if login != self._login:
            # It has been replaced meanwhile.
            return
        seconds = self._record.refused(status, about, started)
        if seconds is not None:
            _log.error(
                "[upstream {name}]: our own account was refused with status {status}; "
                "check username and password-file, or the credential helper. It is "
                "tried again when they change, or in {seconds:g} s",
                name=self._upstream,
                status=status,
                seconds=seconds,
            )
        self._turns.look()

    async def _in_turn(
        self,
        login: Login,
        about: frozenset[str],
        show: Callable[[Login, Turn], Awaitable[T]],
    ) -> T:
        if login != self._login:
            self._login = login
            self._renew()
        record, turns = self._record, self._turns
        while True:
            if record is not self._record:
                # There is another login by now.
                return await self.use(about, show)
            if record.is_refused:
                await self._show_again(login, about, record)
            elif turns.may_begin:
                break
            else:
                await turns.wait()
        if record.is_lacking(about):
            raise Denied(NO_RIGHT)
        turn = Turn(turns, self._clock)
        failure: Failure | None = None
        started = self._clock.seconds()
        try:
            shown = await show(login, turn)
        except OwnLoginRefused as refusal:
            self.refused(login, refusal.status, about, started)
            if record.is_lacking(about):
                raise Denied(NO_RIGHT) from refusal
            raise
        except HTTPError:
            failure = Failure()
            raise
        finally:
            if not turn.is_kept:
                turn.end(failure)
        if turn.is_kept and record is not self._record:
            # Who keeps a turn has another login to show by now.
            turn.end()
            return await self.use(about, show)
        return shown

    async def _show_again(
        self, login: Login, about: frozenset[str], record: LoginRecord
    ) -> None:
        """Log in with what was refused, if that may be; raises `OwnLoginRefused`."""
        if not record.may_show():
            raise OwnLoginRefused(401)
        started = self._clock.seconds()
        try:
            await self._prove(login, about)
        except OwnLoginRefused as refusal:
            self.refused(login, refusal.status, (), started)
            raise
        except BaseException:
            record.abandoned(started)
            raise
        self.confirmed(login, started)

    def _renew(self) -> None:
        self._record = LoginRecord(self._clock.seconds, TRIAL_SECONDS)
        self._turns = Turns(self._record)
