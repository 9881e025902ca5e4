"""Credentials from a helper program: a real one, run for real."""

import json
import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from regbroker.errors import UpstreamUnavailable
from regbroker.upstream import credential_helper
from regbroker.upstream.credential_helper import (
    RUN_INTERVAL,
    CredentialHelper,
    parse_answer,
)
from regbroker.upstream.credentials import Credentials, Login

SERVER = "123.dkr.ecr.eu-central-1.amazonaws.com"


class ProcessesAndClock(Clock):
    """Starts real processes, and has a time of its own."""

    def spawnProcess(self, *args: Any, **kwargs: Any) -> Any:
        return reactor.spawnProcess(*args, **kwargs)


class ParseAnswerTests(SynchronousTestCase):
    def test_good(self) -> None:
        """A helper's answer is a JSON object; what else it holds is its own."""
        answer = {"ServerURL": SERVER, "Username": "AWS", "Secret": "p:w", "X": 1}
        self.assertEqual(parse_answer(json.dumps(answer).encode()), ("AWS", "p:w"))

    def test_many_lines(self) -> None:
        """Google's password is a file."""
        answer = {"Username": "_json_key", "Secret": '{\n "a": 1\n}\n'}
        login = parse_answer(json.dumps(answer).encode())
        self.assertEqual(login, ("_json_key", '{\n "a": 1\n}'))

    def test_wrong(self) -> None:
        """What is no login is named without telling it."""
        for answer in (
            b"",
            b"s3cret",
            b"\xffs3cret",
            b"[" * 100_000,
            b'["s3cret"]',
            b'{"Username": "AWS"}',
            b'{"Secret": "s3cret"}',
            b'{"Username": "", "Secret": "s3cret"}',
            b'{"Username": "AWS", "Secret": ""}',
            b'{"Username": "AWS", "Secret": ["s3cret"]}',
            b'{"Username": ["AWS"], "Secret": "s3cret"}',
            b'{"Username": "A:WS", "Secret": "s3cret"}',
            b'{"Username": "A\\nWS", "Secret": "s3cret"}',
            b'{"Username": "AWS", "Secret": "s3cret\\u0000"}',
        ):
            error = self.assertRaises(ValueError, parse_answer, answer)
            self.assertNotIn("s3cret", str(error))

    @given(st.binary() | st.text().map(lambda text: json.dumps(text).encode()))
    def test_anything(self, answer: bytes) -> None:
        """Whatever a helper says, it is a login or `ValueError`."""
        self.assertRaises(ValueError, parse_answer, answer)

    def test_names(self) -> None:
        """A helper's name is part of a program's name, and nothing else."""
        for name in ("ecr-login", "gcr", "pass", "a.b_C-1"):
            CredentialHelper(name, SERVER, cast(Any, Clock()))
        for name in ("", "a/b", "../x", "a b", "a;b", "a\n", "é", "$(id)"):
            self.assertRaises(ValueError, CredentialHelper, name, SERVER, Clock())


class CredentialHelperTests(TestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.clock = ProcessesAndClock()
        self.helper: Credentials = CredentialHelper(
            "cloud",
            SERVER,
            cast(Any, self.clock),
            environment={"PATH": f"{self.directory}:/usr/bin:/bin", "HINT": "h1"},
        )
        captured = capturedLogs()
        self.events: Sequence[LogEvent] = captured.__enter__()
        self.addCleanup(captured.__exit__, None, None, None)

    def program(self, script: str, interpreter: str = "/bin/sh") -> None:
        """Install the helper; each run leaves a line in the file `runs`."""
        path = self.directory / "docker-credential-cloud"
        new = self.directory / "new"
        runs = shlex.quote(str(self.directory / "runs"))
        first = f"echo run >> {runs}\n" if interpreter == "/bin/sh" else ""
        new.write_text(f"#!{interpreter}\n{first}{script}\n")
        new.chmod(0o755)
        new.replace(path)

    def says(self, user: str, secret: str, end: str = "") -> None:
        """Install a helper that says this."""
        answer = json.dumps({"ServerURL": SERVER, "Username": user, "Secret": secret})
        self.program(f"cat > /dev/null\necho {shlex.quote(answer)}\n{end}")

    @property
    def runs(self) -> int:
        """How often the helper has been run."""
        path = self.directory / "runs"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def get(self) -> Deferred[Login]:
        """What there is to log in with."""
        return Deferred.fromCoroutine(self.helper.get())

    async def unavailable(self) -> str:
        """Expect that there is nothing; return what the log says."""
        logged = len(self.events)
        try:
            self.fail(f"there is {await self.get()}")
        except UpstreamUnavailable as error:
            self.assertEqual(error.status, 503)
            self.assertNotIn("cloud", error.message)
        return "\n".join(formatEvent(event) for event in self.events[logged:])

    async def test_protocol(self) -> None:
        """The helper gets the server on standard input, as from docker."""
        self.program(
            'server="$(cat; echo .)"\n'
            f"""test "$#:$1:$server" = '1:get:{SERVER}.' || exit 3\n"""
            """echo '{"Username": "'"$HINT"'", "Secret": "s3cret"}'"""
        )
        self.assertEqual(await self.get(), ("h1", "s3cret"))

    async def test_kept(self) -> None:
        """What the helper said is kept until it is refused."""
        self.says("AWS", "one")
        self.assertEqual(await self.get(), ("AWS", "one"))
        self.clock.advance(86400)
        self.says("AWS", "two")
        self.assertEqual(await self.get(), ("AWS", "one"))
        self.assertEqual(self.runs, 1)

    async def test_expired(self) -> None:
        """After a refusal the helper is asked again."""
        for password in ("one", "two", "three"):
            self.says("AWS", password)
            self.assertEqual(await self.get(), ("AWS", password))
            self.clock.advance(12 * 3600)
            self.helper.refused()
        self.assertEqual(self.runs, 3)

    async def test_late_refusal(self) -> None:
        """Whoever brings the news late does not undo what is new."""
        self.says("AWS", "one")
        old = await self.get()
        self.clock.advance(12 * 3600)
        self.helper.refused(old)
        self.says("AWS", "two")
        await self.get()
        self.clock.advance(RUN_INTERVAL)
        self.helper.refused(old)
        self.assertEqual(await self.get(), ("AWS", "two"))
        self.assertEqual(self.runs, 2)

    async def test_refused_at_once(self) -> None:
        """A login that is refused when it is new costs no run per request."""
        self.says("AWS", "wrong")
        for _ in range(10):
            await self.get()
            self.helper.refused()
        self.assertEqual(self.runs, 1)
        self.clock.advance(RUN_INTERVAL)
        await self.get()
        self.assertEqual(self.runs, 1)
        self.helper.refused()
        await self.get()
        self.assertEqual(self.runs, 2)

    async def test_shared(self) -> None:
        """Whoever asks while it runs waits for that run."""
        self.says("AWS", "one")
        logins = await gatherResults([self.get() for _ in range(20)])
        self.assertEqual(set(logins), {("AWS", "one")})
        self.assertEqual(self.runs, 1)

    async def test_one_leaves(self) -> None:
        """A client that leaves takes nobody's login away."""
        self.says("AWS", "one")
        first, second = self.get(), self.get()
        first.addErrback(lambda _: None)
        first.cancel()
        self.assertEqual(await second, ("AWS", "one"))

    async def test_identity_token(self) -> None:
        """A helper may have an identity token instead of a password."""
        self.says("<token>", "t0ken")
        self.assertEqual((await self.get()).identity_token, "t0ken")

    async def test_missing(self) -> None:
        """A program that is not there is named in the log."""
        self.assertEqual(
            await self.unavailable(),
            f"docker-credential-cloud get, for {SERVER}: "
            "there is no such program in PATH",
        )

    async def test_cannot_be_run(self) -> None:
        """So is one that is there and does not run."""
        self.program("", "/no/such/interpreter")
        self.assertIn("docker-credential-cloud get", await self.unavailable())

    async def test_installed_later(self) -> None:
        """What failed is tried again, and not for each request."""
        await self.unavailable()
        self.says("AWS", "one")
        self.assertEqual(await self.unavailable(), "")
        self.clock.advance(RUN_INTERVAL)
        self.assertEqual(await self.get(), ("AWS", "one"))

    async def test_failing(self) -> None:
        """A helper that ends with an error has its complaints in the log."""
        self.program("echo 'token\033[1m expired' >&2; echo more >&2; exit 1")
        self.assertTrue(
            (await self.unavailable()).endswith(
                "it ended with status 1; it says: token [1m expired more"
            )
        )

    async def test_not_found(self) -> None:
        """What the helpers' own library says on standard output is no secret."""
        self.program("echo credentials not found in native keychain; exit 1")
        self.assertTrue(
            (await self.unavailable()).endswith(
                "it ended with status 1, credentials not found in native keychain"
            )
        )

    async def test_tells_no_secret(self) -> None:
        """Standard output is never logged, whatever else is wrong."""
        for script, told in (
            ("echo s3cret; exit 1", "status 1"),
            ("echo s3cret", "JSON"),
            ('echo \'{"S": "s3cret"}\'', "Username"),
        ):
            self.program(script)
            self.assertIn(told, await self.unavailable())
            self.clock.advance(RUN_INTERVAL)
        self.says("AWS", "s3cret", "exit 1")
        self.assertIn("status 1", await self.unavailable())
        self.clock.advance(RUN_INTERVAL)
        self.says("AWS", "s3cret")
        await self.get()
        self.assertNotIn("s3cret", repr(self.events))

    async def test_complaints_without_failure(self) -> None:
        """A helper that works may say on standard error what it likes."""
        self.says("AWS", "one", "echo a new version is available >&2")
        await self.get()
        self.assertEqual(self.events, [])

    async def test_ended_by_signal(self) -> None:
        """A helper that crashes has failed, whatever it said before."""
        self.says("AWS", "one", "kill -9 $$")
        self.assertIn("it was ended by signal 9", await self.unavailable())

    async def test_endless_output(self) -> None:
        """A helper that talks and talks is ended."""
        self.program("exec yes s3cret")
        self.assertIn("it wrote more than 65536 bytes", await self.unavailable())

    async def test_endless_complaints(self) -> None:
        """Of what it complains about, the log gets the beginning."""
        self.program("head -c 1000000 /dev/zero | tr '\\0' 'x' >&2; exit 1")
        logged = await self.unavailable()
        self.assertIn("x" * credential_helper.MAX_COMPLAINT_BYTES, logged)
        self.assertLess(len(logged), credential_helper.MAX_COMPLAINT_BYTES + 200)

    async def test_does_not_read(self) -> None:
        """A helper that never reads its input may know the answer anyway."""
        self.program("""exec <&-; echo '{"Username": "AWS", "Secret": "one"}'""")
        self.assertEqual(await self.get(), ("AWS", "one"))

    def hangs(self) -> None:
        """Install a helper that waits for a program of its own."""
        children = shlex.quote(str(self.directory / "children"))
        self.program(
            f"sleep 100 &\necho $! $$ > {children}.new\n"
            f"mv {children}.new {children}\nwait"
        )

    async def hanging(self) -> int:
        """Wait until the helper hangs; return its process."""
        path = self.directory / "children"
        while not path.exists():
            await deferLater(reactor, 0.01)
        child, helper = map(int, path.read_text().split())
        self.addCleanup(os.kill, child, signal.SIGKILL)
        return helper

    async def ended(self, process: int) -> None:
        """Wait until a process has ended, and been reaped."""
        while Path(f"/proc/{process}").exists():
            await deferLater(reactor, 0.01)

    async def test_hanging(self) -> None:
        """A helper that hangs is ended, whoever else holds its pipes."""
        self.hangs()
        waiting = [self.get() for _ in range(3)]
        process = await self.hanging()
        self.clock.advance(29)
        self.assertEqual([waiter.called for waiter in waiting], [False] * 3)
        self.clock.advance(1)
        for waiter in waiting:
            await self.assertFailure(waiter, UpstreamUnavailable)
        self.assertEqual(
            [formatEvent(event) for event in self.events],
            [f"docker-credential-cloud get, for {SERVER}: no answer within 30 s"],
        )
        await self.ended(process)
        self.clock.advance(RUN_INTERVAL)
        self.says("AWS", "one")
        self.assertEqual(await self.get(), ("AWS", "one"))

    async def test_close(self) -> None:
        """Closing ends a helper that runs, and none is run afterwards."""
        self.hangs()
        waiting = self.get()
        process = await self.hanging()
        self.helper.close()
        await self.assertFailure(waiting, UpstreamUnavailable)
        await self.ended(process)
        self.clock.advance(RUN_INTERVAL)
        self.assertEqual(await self.unavailable(), "")
        self.assertEqual(self.runs, 1)
