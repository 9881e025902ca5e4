"""Who logs in, and what is examined."""

from __future__ import annotations

import os
from pathlib import Path

from regbroker.cli.doctor.command import (
    PASSWORD_VARIABLE,
    NoExamination,
    Request,
    examine,
    login_of,
)
from regbroker.service import load_config
from regbroker.upstream.credentials import Login
from tests.certificates import issued, pem_of
from tests.cli.case import CONFIG, CommandCase
from tests.doctorcase import DoctorCase, Fake, reactor
from tests.integration.peers.nursery import environment, measured_nursery


class LoginTests(DoctorCase):
    def test_login(self) -> None:
        """The password is in a file or in the environment, and is not printed."""
        self.assertIsNone(login_of("", ""))
        path = self.directory / "password"
        path.write_text("s3cret\n")
        login = login_of("alice", str(path))
        self.assertEqual(login, Login("alice", "s3cret"))
        self.assertNotIn("s3cret", repr(login))
        environment = {**os.environb, PASSWORD_VARIABLE.encode(): b"other"}
        self.patch(os, "environb", environment)
        self.assertEqual(login_of("alice", ""), Login("alice", "other"))

    def test_no_login(self) -> None:
        """What is missing, or no password, is told."""
        environment = dict(os.environb)
        environment.pop(PASSWORD_VARIABLE.encode(), None)
        self.patch(os, "environb", environment)
        empty = self.directory / "empty"
        empty.write_text("")
        for password_file, words in (
            ("", PASSWORD_VARIABLE),
            ("/nowhere/password", "No such file"),
            (str(empty), "empty"),
            ("/dev/zero", "larger than"),
        ):
            with self.assertRaisesRegex(NoExamination, words):
                login_of("alice", password_file)


class ExamineTests(DoctorCase):
    def configure(self, upstreams: str) -> Path:
        path = self.directory / "regbroker.ini"
        path.write_text(
            "[regbroker]\nlisten = unix:s\n[registry localhost]\n"
            f"upstream = one, two\nnamespaces =\n  * = *\n{upstreams}"
        )
        return path

    async def test_ways(self) -> None:
        """Upstreams behind a socket or a proxy are reached as the service does."""
        path = self.configure(
            "[upstream one]\nurl = unix:/nowhere/registry.sock\n"
            "[upstream two]\nurl = http://a.test\n"
            f"proxy = http://127.0.0.1:{self.closed_port()}\n"
        )
        config = load_config(path)
        steps = await examine(reactor, config, Request(timeout=5, only="upstream"))
        self.assertEqual(
            [(step.name, step.trouble is not None) for step in steps],
            [("socket", True), ("proxy: TCP", True)],
        )

    async def test_all_upstreams(self) -> None:
        """Each upstream that is used has its steps, whatever the others do."""
        port = self.listen(Fake().answer)
        path = self.configure(
            f"[upstream one]\nurl = http://127.0.0.1:{self.closed_port()}\n"
            f"[upstream two]\nurl = http://127.0.0.1:{port}\n"
            "[upstream spare]\nurl = http://127.0.0.1:1\n"
        )
        steps = await examine(reactor, load_config(path), Request(timeout=5))
        self.assertEqual(
            [(step.side.split()[1].strip("],"), step.name) for step in steps],
            [
                ("unix:s", "socket"),
                ("one", "TCP"),
                ("two", "TCP"),
                ("two", "ping"),
                ("two", "challenge"),
            ],
        )

    async def test_advice(self) -> None:
        """Of an upstream that is away: see the steps that are here, or else the log."""
        away = self.listen(lambda target, headers: (503, {}, b""))
        url = f"http://127.0.0.1:{self.closed_port()}"
        for one, two, only, advice in (
            (url, url, "", "see the steps of one, two here"),
            (url, "sandbox:", "", "see the steps of one here"),
            ("sandbox:", "sandbox:", "", "see regbroker's log"),
            (url, url, "clients", "see regbroker's log"),
        ):
            path = self.configure(
                f"[upstream one]\nurl = {one}\n[upstream two]\nurl = {two}\n"
            )
            path.write_text(path.read_text().replace("= unix:s", f"= tcp:{away}"))
            request = Request(timeout=5, only=only)
            steps = await examine(reactor, load_config(path), request)
            (trouble,) = [s.trouble for s in steps if s.name == "ping" and s.trouble]
            assert trouble is not None
            self.assertTrue(trouble.advice.startswith(advice), trouble.advice)

    async def test_host_of_the_name(self) -> None:
        """Where every host is served, the listener is asked for that of the name."""
        port = self.listen(Fake().answer)
        path = self.configure(
            f"[upstream one]\nurl = http://127.0.0.1:{port}\n"
            f"[upstream two]\nurl = http://127.0.0.1:{port}\n"
        )
        text = path.read_text().replace("registry localhost", "registry *")
        path.write_text(text.replace("= unix:s", f"= tcp:{port}"))
        for image, host in (
            ("a.test/team/app:1.0", "a.test"),
            ("b.test:5000/team/app:1.0", "b.test"),
            ("team/app:1.0", "localhost"),
        ):
            steps = await examine(
                reactor,
                load_config(path),
                Request(timeout=5, only="clients", image=image),
            )
            self.assertEqual([step for step in steps if step.trouble], [])
            sides = {step.side for step in steps}
            self.assertEqual(sides, {f"listen tcp:{port}, as {host}"})

    async def test_own_account_without_password(self) -> None:
        """A helper that gives nothing is told, and the rest is examined."""
        port = self.listen(Fake().answer)
        path = self.configure(
            "anonymous = shared\n"
            f"[upstream one]\nurl = http://127.0.0.1:{port}\n"
            "credential-helper = there-is-none-of-this-name\n"
            f"[upstream two]\nurl = http://127.0.0.1:{port}\n"
        )
        request = Request(timeout=5, only="upstream")
        steps = await examine(reactor, load_config(path), request)
        failed = [step for step in steps if step.trouble]
        self.assertEqual([step.name for step in failed], ["own account"])
        self.flushLoggedErrors()


class RefusedTests(CommandCase):
    """A configuration that cannot be served is told as ``check`` tells it."""

    def test_client_keys(self) -> None:
        """A client's key that cannot be used: which one, why, and what to do."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        client = issued("regbroker")
        certificate, key = client.write(directory, "client")
        path = self.write(
            f"{CONFIG}client-certificate = {certificate}\nclient-key = {key}\n"
        )
        for data, words in (
            (issued("other").key, "the key does not belong to the certificate"),
            (issued("rsa", kind="rsa").key, "it is RSA, and the certificate is for EC"),
            (pem_of(client.private(), b"secret"), f"openssl pkey -in {key} -out "),
            (client.certificate, "it holds a certificate and no key"),
        ):
            key.write_bytes(data)
            status, _, err = self.run_command("doctor", "-c", path)
            self.assertEqual(status, 1)
            self.assertIn(f"[upstream aliyun] client-key: {key}: ", err)
            self.assertIn(words, err)
            _, _, told = self.run_command("check", "-c", path)
            self.assertEqual(told.splitlines()[:-1], err.splitlines())


#: The command, where no name server answers.
NO_NAME_SERVER = """
import socket, threading
socket.getaddrinfo = lambda *others, **named: threading.Event().wait()
from regbroker.cli.main import main
raise SystemExit(main())
"""


class ProcessTests(CommandCase):
    """A process, for the reactor is one for each process."""

    def test_no_name_server(self) -> None:
        """A look-up that does not end is told, and keeps no command from ending."""
        output = Path(self.mktemp()).absolute()
        path = str(Path(self.write(CONFIG)).absolute())
        process = measured_nursery().start(
            ["doctor", "--config", path, "--only", "upstream", "--timeout", "0.1"],
            output,
            environment(is_measured=True),
            program=NO_NAME_SERVER,
        )
        self.addCleanup(process.kill)
        self.assertEqual(process.wait(60.0), 1, output.read_text())
        self.assertIn("no answer within 0.1 s", output.read_text())
