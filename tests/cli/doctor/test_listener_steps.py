"""Which listeners can be tried, and where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath

from regbroker.cli.doctor.listener_steps import examine_listener
from regbroker.cli.doctor.steps import Step
from regbroker.cli.doctor.visit import Wanted
from regbroker.protocol.basic_credentials import format_basic
from regbroker.settings.endpoints import listener
from regbroker.settings.ini import parse_config
from regbroker.upstream.credentials import Login
from tests.certificates import issued
from tests.doctorcase import DoctorCase, Fake, Reply, reactor

TEXT = """
[registry a.test]
upstream = up
namespaces = * = *
[registry *]
hosts = *.b.test
upstream = up
namespaces = * = *
[upstream up]
url = https://up.test
"""


class ListenerStepsTests(DoctorCase):
    async def examined(self, line: str) -> list[Step]:
        """The steps with a line of listen."""
        config = parse_config(TEXT, PurePath("/"), lambda path: None)
        return await examine_listener(reactor, config, listener(line), 5.0)

    async def test_not_examined(self) -> None:
        """What cannot be known is said, and how to examine it."""
        for line, words in (
            ("tls:systemd:domain=INET:index=987", "systemctl list-sockets"),
            ("tcp:0", "write that port into a copy"),
            ("proxy:tcp:1", "trusted-proxies does not name it"),
        ):
            (step,) = await self.examined(line)
            self.assertEqual((step.name, step.trouble), ("not examined", None), line)
            self.assertIn(words, step.seen)

    async def test_hosts(self) -> None:
        """Each registry is asked for by a host of its own, on loopback."""
        port = self.listen(lambda target, headers: (401, {}, b""))
        steps = await self.examined(f"tcp:{port}")
        self.assertEqual([s for s in steps if s.trouble], [])
        self.assertEqual(
            [headers["Host"] for _, headers in self.requests],
            [f"a.test:{port}", f"registry.b.test:{port}"],
        )

    async def test_login_alone(self) -> None:
        """Without a name to pull, a login is tried at each registry."""

        def answer(target: str, headers: Mapping[str, str]) -> Reply:
            right = format_basic("alice", "right").decode("ascii")
            if headers.get("Authorization") == right:
                return (200, {}, b"")
            return (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")

        config = parse_config(TEXT, PurePath("/"), lambda path: None)
        for password, names, problem in (
            ("right", ["TCP", "ping", "challenge", "login"] * 2, ""),
            ("wrong", ["TCP", "ping", "challenge", "login"], "does not take 'alice'"),
        ):
            steps = await examine_listener(
                reactor,
                config,
                listener(f"tcp:{self.listen(answer)}"),
                5.0,
                wanted=Wanted(login=Login("alice", password)),
            )
            self.assertEqual([step.name for step in steps], names)
            trouble = steps[-1].trouble
            self.assertEqual(trouble is not None, bool(problem))
            self.assertIn(problem, trouble.problem if trouble else "")

    async def test_mirror(self) -> None:
        """A mirror is asked for what its clients want, at each step."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        pair = issued("mirror.test")
        certificate, key = pair.write(directory, "mirror")
        port = self.listen(Fake().answer, pair)
        text = (
            "[regbroker]\nns = docker.io = a.test\n"
            f"[tls]\ncertificate = {certificate}\nkey = {key}\n"
            "[registry a.test]\nupstream = up\nnamespaces = * = *\n"
            "[upstream up]\nurl = https://up.test\n"
        )
        config = parse_config(text, PurePath("/"), lambda path: None)
        steps = await examine_listener(
            reactor,
            config,
            listener(f"tls:{port}"),
            5.0,
            registry=config.registries[0],
            wanted=Wanted(name="team/app", reference="1.0"),
        )
        self.assertEqual([step for step in steps if step.trouble], [])
        side = f"listen tls:{port}, as mirror.test for docker.io"
        self.assertEqual({step.side for step in steps}, {side})
        targets = [target for target, _ in self.requests]
        self.assertEqual(
            targets[:2],
            ["/v2/?ns=docker.io", "/v2/team/app/manifests/1.0?ns=docker.io"],
        )
        self.assertTrue(all(target.endswith("?ns=docker.io") for target in targets))

    async def test_answers(self) -> None:
        """What another answer than a registry's means, and no further registry."""
        reply: Reply
        for status, words in (
            (421, "does not serve a.test"),
            (503, "its upstream does not answer"),
            (429, "limits how often"),
            (404, "is not regbroker"),
        ):
            reply = (status, {}, b"")
            port = self.listen(lambda target, headers, reply=reply: reply)  # type: ignore
            steps = await self.examined(f"tcp:{port}")
            self.assertEqual([step.name for step in steps], ["TCP", "ping"])
            trouble = steps[-1].trouble
            assert trouble is not None
            self.assertIn(words, trouble.problem)
