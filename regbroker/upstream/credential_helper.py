"""
Credentials from a docker credential helper.

Source: docker/docker-credential-helpers, ``client/command.go`` and
``credentials/credentials.go``: the program ``docker-credential-NAME`` is run
with the argument ``get`` and the server on its standard input, without a
newline; it answers ``{"ServerURL": …, "Username": …, "Secret": …}``, or says on
its standard output what went wrong and ends with 1.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.runtime.reactor import INetworkReactor
from regbroker.runtime.single_flight import Coalescer
from regbroker.upstream.credentials import Login, unavailable, without_newline

#: Seconds: a helper may ask a cloud's API, which may be asked twice.
TIMEOUT = 30.0

#: Seconds between two runs. Clients can bring about a run, by whatever the
#: upstream answers with 401; a helper that fails costs its timeout each time.
RUN_INTERVAL = 5.0

#: An identity token may be some KiB long.
MAX_OUTPUT_BYTES = 64 * 1024

#: What of the helper's complaints goes into the log.
MAX_COMPLAINT_BYTES = 2 * 1024

#: What the helpers' library itself says on standard output; anything else
#: there may be a secret.
_KNOWN_ANSWERS = (
    b"credentials not found in native keychain",
    b"no credentials server URL",
    b"no credentials username",
)

_NAME = re.compile(r"[A-Za-z0-9._-]+")

_log = Logger()


class _Failed(Exception):
    """The helper gave no login; the text is for the log."""


class CredentialHelper:
    """
    What ``docker-credential-NAME get`` says about a server.

    The login is kept until it is refused, and after that if the program gives none;
    whoever asks while the program runs waits for that run. `server` is what the
    credentials are for (`regbroker.upstream.credentials.credential_server`).
    `environment` is the program's, our own by default, and its ``PATH`` says where the
    program is. `reactor` gives time, too. Raises `ValueError` for a name that is none.
    """

    def __init__(
        self,
        name: str,
        server: str,
        reactor: INetworkReactor,
        *,
        timeout: float = TIMEOUT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if _NAME.fullmatch(name) is None:
            raise ValueError(
                f"'{name}' is no name of a credential helper; for the program "
                "docker-credential-ecr-login write ecr-login"
            )
        self._program = f"docker-credential-{name}"
        self._server = server
        self._reactor = reactor
        self._timeout = timeout
        self._environment = os.environ if environment is None else environment
        self._runs: Coalescer[None] = Coalescer(reactor, timeout, is_kept=True)
        self._login: Login | None = None
        self._refused = False
        self._ran = -math.inf
        self._closed = False

    async def get(self) -> Login:
        """Return the kept login, or what the program says."""
        wanted = self._login is None or self._refused
        if wanted and not self._closed and not self._ran_just_now():
            # The run itself logs that it took too long.
            with suppress(TimeoutError):
                await self._runs.run("get", self._run)
        if self._login is None:
            raise unavailable()
        return self._login

    def refused(self, login: Login | None = None) -> None:
        """Ask for another login, unless it is new since, or as new as can be."""
        if login in (None, self._login) and not self._ran_just_now():
            self._refused = True

    def close(self) -> None:
        """End the program, if it runs."""
        self._closed = True
        self._runs.cancel()

    def _ran_just_now(self) -> bool:
        passed: float = self._reactor.seconds() - self._ran
        return 0 <= passed < RUN_INTERVAL

    async def _run(self) -> None:
        run = _Run(self._server.encode("utf-8"))
        try:
            self._spawn(run)
            self._login = run.login(await run.ended)
            self._refused = False
        except CancelledError:
            if self._closed:
                return
            self._complain(f"no answer within {self._timeout:g} s", run)
            raise
        except _Failed as failed:
            self._complain(str(failed), run)
        finally:
            self._ran = self._reactor.seconds()

    def _spawn(self, run: _Run) -> None:
        path = shutil.which(self._program, path=self._environment.get("PATH"))
        if path is None:
            raise _Failed("there is no such program in PATH")
        try:
            self._reactor.spawnProcess(
                run, path, [self._program, "get"], env=dict(self._environment)
            )
        except OSError as error:
            raise _Failed(f"cannot be run: {error.strerror}") from None

    def _complain(self, problem: str, run: _Run) -> None:
        complaint = _one_line(bytes(run.complaint))
        _log.error(
            "{program} get, for {server}: {problem}{complaint}",
            program=self._program,
            server=self._server,
            problem=problem,
            complaint=f"; it says: {complaint}" if complaint else "",
        )


class _Run(ProcessProtocol):
    """One run of the program; `ended` fires with how it ended."""

    def __init__(self, server: bytes) -> None:
        self.ended: Deferred[BaseException] = Deferred(lambda _: self._kill())
        self.complaint = bytearray()
        self._server = server
        self._output = bytearray()

    def login(self, how: BaseException) -> Login:
        """Return what the program has answered; raises `_Failed`."""
        if len(self._output) > MAX_OUTPUT_BYTES:
            raise _Failed(f"it wrote more than {MAX_OUTPUT_BYTES} bytes")
        answer = bytes(self._output).strip()
        if not isinstance(how, ProcessDone):
            said = f", {answer.decode()}" if answer in _KNOWN_ANSWERS else ""
            raise _Failed(f"it {_ending(how)}{said}")
        try:
            return parse_answer(answer)
        except ValueError as error:
            raise _Failed(str(error)) from None

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._server)
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        self._output += data
        if len(self._output) > MAX_OUTPUT_BYTES:
            self._kill()

    def errReceived(self, data: bytes) -> None:
        self.complaint += data[: MAX_COMPLAINT_BYTES - len(self.complaint)]

    def processEnded(self, reason: Failure) -> None:
        if not self.ended.called:
            self.ended.callback(reason.value or ProcessDone(None))

    def _kill(self) -> None:
        assert self.transport is not None
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")
        # What the program has started itself may hold the pipes for ever.
        self.transport.loseConnection()


def parse_answer(answer: bytes) -> Login:
    """
    Parse what a helper says on its standard output.

    Raises `ValueError` that tells nothing of it.
    """
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        raise ValueError("its answer is no JSON") from None
    if not isinstance(document, dict):
        raise ValueError("its answer is no JSON object")
    user, secret = document.get("Username"), document.get("Secret")
    if not (isinstance(user, str) and user and isinstance(secret, str) and secret):
        raise ValueError("its answer has no Username or no Secret")
    if ":" in user or any(c in user for c in "\r\n\0") or "\0" in secret:
        raise ValueError("its answer does not fit into Basic credentials")
    return Login(user, without_newline(secret))


def _ending(how: BaseException) -> str:
    if isinstance(how, ProcessTerminated) and how.signal is not None:
        return f"was ended by signal {how.signal}"
    return f"ended with status {getattr(how, 'exitCode', None)}"


def _one_line(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
