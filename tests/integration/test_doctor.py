"""`regbroker doctor` against set-ups broken on purpose, with real listeners."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from random import Random

from regbroker.cli.doctor.command import NoExamination, Request, examine
from regbroker.cli.doctor.steps import lines
from regbroker.service import load_config
from tests.certificates import issued
from tests.doctorcase import (
    ALICE,
    DoctorCase,
    Fake,
    Headers,
    Reply,
    errors,
    reactor,
    token,
    written,
)


class ReachingTests(DoctorCase):
    """What keeps a server from being reached."""

    async def test_closed_port(self) -> None:
        advice = await self.assert_cause(
            "TCP", "nothing listens on port", f"https://localhost:{self.closed_port()}"
        )
        self.assertIn("[upstream up] url", advice)

    async def test_unknown_host(self) -> None:
        def getaddrinfo(*_: object, **__: object) -> None:
            # A name server would have to be asked, which is beyond loopback.
            raise socket.gaierror(-2, "Name or service not known")

        self.patch(socket, "getaddrinfo", getaddrinfo)
        advice = await self.assert_cause(
            "DNS", "the name registry.invalid is not known", "https://registry.invalid"
        )
        self.assertIn("/etc/resolv.conf", advice)

    async def test_time_out(self) -> None:
        port = self.listen(None)
        await self.assert_cause(
            "ping", "does not answer in time", f"http://localhost:{port}", seconds=0.5
        )

    async def test_silent_to_tls(self) -> None:
        port = self.listen(None)
        await self.assert_cause(
            "TLS", "does not answer to TLS", f"https://localhost:{port}", seconds=0.5
        )

    async def test_http_to_https(self) -> None:
        port = self.listen(Fake().answer, issued("localhost"))
        advice = await self.assert_cause("ping", "speak", f"http://localhost:{port}")
        self.assertIn("write https:// in [upstream up] url", advice)

    async def test_http_to_https_of_go(self) -> None:
        said = (
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS"
        )
        port = self.listen(lambda target, headers: said)
        advice = await self.assert_cause(
            "ping", "answered 400; does it speak https?", f"http://localhost:{port}"
        )
        self.assertIn("write https://", advice)

    async def test_https_to_http(self) -> None:
        # An HTTP server answers to the first bytes of TLS when it sees an end of line.
        port = self.listen_at_once(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        advice = await self.assert_cause(
            "TLS", "does it speak plain http?", f"https://localhost:{port}"
        )
        self.assertIn("write http:// in [upstream up] url", advice)

    async def test_no_http(self) -> None:
        port = self.listen_at_once(b"220 mail.example ESMTP\r\n")
        await self.assert_cause(
            "ping", "does not speak HTTP", f"http://localhost:{port}"
        )


class CertificateTests(DoctorCase):
    """What is wrong with the certificate."""

    async def test_expired(self) -> None:
        port = self.listen(Fake().answer, issued("localhost", days=-2))
        advice = await self.assert_cause(
            "TLS", "it has expired on ", f"https://localhost:{port}"
        )
        self.assertIn("renew it", advice)

    async def test_wrong_name(self) -> None:
        port = self.listen(Fake().answer, issued("other.test"))
        advice = await self.assert_cause(
            "TLS",
            "the certificate is not for localhost, but for other.test",
            f"https://localhost:{port}",
        )
        self.assertIn("[upstream up] url", advice)

    async def test_unknown_authority(self) -> None:
        port = self.listen(Fake().answer, issued("localhost", by="Unknown CA"))
        advice = await self.assert_cause(
            "TLS",
            "the CA that has signed it is not known here: CN=Unknown CA",
            f"https://localhost:{port}",
        )
        self.assertIn("[upstream up] ca-file", advice)

    async def test_no_credentials_before_trust(self) -> None:
        """Nobody is shown a password whose certificate is not trusted."""
        port = self.listen(Fake().answer, issued("localhost", by="Unknown CA"))
        await self.steps(f"https://localhost:{port}")
        self.assertEqual(self.requests, [])


class RegistryTests(DoctorCase):
    """What is wrong with a registry that is reached."""

    def serve(self, **answers: Reply) -> str:
        """A registry with a token service on the same port."""
        fake = Fake(answers={f"/{key}": value for key, value in answers.items()})
        port = self.listen(fake.answer, issued("localhost"))
        self.fake = fake
        fake.realm = f"https://localhost:{port}/token"
        return f"https://localhost:{port}"

    def with_answers(self, answers: dict[str, Reply]) -> str:
        """A registry with these answers, by the beginnings of targets."""
        url = self.serve()
        self.fake.answers = answers
        return url

    async def test_green(self) -> None:
        """All is well: each step of a client, with an index and a redirect."""
        url = self.serve()
        storage = self.listen(Fake().answer, issued("localhost"))
        self.fake.location = f"https://localhost:{storage}/storage?X-Signature=secret"
        steps = await self.steps(url)
        self.assertEqual([s for s in steps if s.trouble], [], list(lines(steps)))
        self.assertEqual(
            [step.name for step in steps],
            [
                "DNS",
                "TCP",
                "TLS",
                "ping",
                "challenge",
                "token",
                "manifest",
                "of the index",
                "blob",
                "redirect",
                "storage: DNS",
                "storage: TCP",
                "storage: TLS",
                "storage",
            ],
        )
        self.assertIn("grants pull for acme/app", steps[5].seen)
        # The storage is not shown the token.
        target, headers = self.requests[-1]
        self.assertEqual(target, "/storage?X-Signature=secret")
        self.assertNotIn("Authorization", headers)

    async def test_not_a_registry(self) -> None:
        url = self.with_answers(
            {"/v2/": (200, {"Content-Type": "text/html"}, b"<html>Welcome</html>")}
        )
        await self.assert_cause("ping", "it is not a registry", url)

    async def test_wrong_path(self) -> None:
        url = self.with_answers({"/v2/": (404, {}, b"")})
        await self.assert_cause("ping", "/v2/ is not found (404)", url)

    async def test_redirects_away(self) -> None:
        away = {"Location": "https://new.test/v2/"}
        url = self.with_answers({"/v2/": (301, away, b"")})
        await self.assert_cause("ping", "redirects to https://new.test/v2/", url)

    async def test_unusable_challenge(self) -> None:
        url = self.with_answers({"/v2/": (401, {"WWW-Authenticate": "Negotiate"}, b"")})
        advice = await self.assert_cause(
            "challenge", "no challenge that can be used", url
        )
        self.assertIn("write 'realm = https://...' in [upstream up]", advice)

    async def test_realm_elsewhere(self) -> None:
        bearer = {"WWW-Authenticate": 'Bearer realm="https://auth.other.test/t"'}
        url = self.with_answers({"/v2/": (401, bearer, b"")})
        await self.assert_cause(
            "challenge", "write 'token-hosts = auth.other.test'", url
        )

    async def test_wrong_password(self) -> None:
        url = self.with_answers({"/token": (401, {}, errors("UNAUTHORIZED"))})
        await self.assert_cause(
            "token", "does not take 'alice': the user or the password is wrong", url
        )

    async def test_wrong_password_of_basic(self) -> None:
        basic = {"WWW-Authenticate": 'Basic realm="reg"'}
        url = self.with_answers({"/v2/": (401, basic, b"")})
        await self.assert_cause("login", "the registry does not take 'alice'", url)

    async def test_no_login(self) -> None:
        """Without a login there may be no token: a pull fails, a look does not."""
        url = self.with_answers({"/token": (401, {}, errors("UNAUTHORIZED"))})
        advice = await self.assert_cause(
            "token", "no token to somebody without a login", url, login=None
        )
        self.assertIn("--user", advice)
        steps = await self.steps(url, login=None, image="")
        self.assertEqual([s for s in steps if s.trouble], [])

    async def test_challenged_late(self) -> None:
        """A registry that lets the ping pass, and challenges at the repository."""
        url = self.serve()
        answer, realm = self.fake.answer, self.fake.realm

        def late(target: str, headers: Headers) -> Reply:
            if target == "/v2/":
                return 200, {}, {}
            return answer(target, headers)

        port = self.listen(late, issued("localhost"))
        self.fake.realm = realm.replace(url, f"https://localhost:{port}")
        steps = await self.steps(f"https://localhost:{port}")
        self.assertEqual([s for s in steps if s.trouble], [], list(lines(steps)))
        self.assertEqual(
            [step.name for step in steps][3:],
            ["ping", *["challenge"] * 2, "token", "manifest", "of the index", "blob"],
        )

    async def test_no_rights(self) -> None:
        url = self.with_answers({"/token": (200, {}, {"token": token()})})
        await self.assert_cause(
            "token", "'alice' may log in, and has no right to pull acme/app", url
        )

    async def test_opaque_token_without_rights(self) -> None:
        url = self.with_answers(
            {
                "/token": (200, {}, {"access_token": "opaque"}),
                "/v2/acme": (403, {}, errors("DENIED")),
            }
        )
        await self.assert_cause("manifest", "has no right to pull acme/app", url)

    async def test_token_service_down(self) -> None:
        url = self.serve()
        self.fake.realm = f"https://localhost:{self.closed_port()}/token"
        advice = await self.assert_cause("token: TCP", "nothing listens on port", url)
        self.assertIn("the realm that the registry names", advice)

    async def test_token_service_broken(self) -> None:
        url = self.with_answers({"/token": (503, {}, b"")})
        await self.assert_cause("token", "the token service is broken", url)

    async def test_missing_repository(self) -> None:
        url = self.with_answers({"/v2/acme": (404, {}, errors("NAME_UNKNOWN"))})
        await self.assert_cause(
            "manifest", "the repository acme/app does not exist", url
        )

    async def test_missing_manifest(self) -> None:
        url = self.with_answers({"/v2/acme": (404, {}, errors("MANIFEST_UNKNOWN"))})
        await self.assert_cause("manifest", "acme/app has no manifest 1.0", url)

    async def test_missing_blob(self) -> None:
        url = self.with_answers(
            {"/v2/acme/app/blobs": (404, {}, errors("BLOB_UNKNOWN"))}
        )
        await self.assert_cause("blob", "has no blob sha256:bbb", url)

    async def test_limited(self) -> None:
        url = self.with_answers({"/v2/acme": (429, {"Retry-After": "60"}, b"")})
        await self.assert_cause("manifest", "come again in 60 s", url)

    async def test_broken(self) -> None:
        url = self.with_answers({"/v2/": (502, {}, b"")})
        await self.assert_cause("ping", "broken or overloaded: it answered 502", url)

    async def test_clock(self) -> None:
        url = self.serve()
        answer = self.fake.answer
        late = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}

        def dated(target: str, headers: Headers) -> Reply:
            status, given, body = answer(target, headers)
            return status, {**given, **late}, body

        self.fake.answer = dated  # type: ignore[method-assign]
        port = self.listen(dated, issued("localhost"))
        advice = await self.assert_cause(
            "clock", "behind the clock here", f"https://localhost:{port}"
        )
        self.assertIn("NTP", advice)
        self.assertTrue(url)

    async def test_redirect_refused(self) -> None:
        """The rules of `redirects = follow` count, as in the proxy."""
        url = self.serve()
        port = self.listen(Fake().answer, issued("127.0.0.1"))
        self.fake.location = f"https://127.0.0.1:{port}/storage"
        advice = await self.assert_cause(
            "storage: address",
            "regbroker does not follow the redirect: the address of 127.0.0.1",
            url,
            registry="redirects = follow",
        )
        self.assertIn("write 'redirect-hosts = 127.0.0.1' in [upstream up]", advice)
        steps = await self.steps(
            url, registry="redirects = follow", upstream="redirect-hosts = 127.0.0.1"
        )
        self.assertEqual([s for s in steps if s.trouble], [])

    async def test_storage_unreachable(self) -> None:
        url = self.serve()
        self.fake.location = f"https://localhost:{self.closed_port()}/storage"
        await self.assert_cause("storage: TCP", "nothing listens on port", url)

    async def test_storage_refuses(self) -> None:
        url = self.serve()
        port = self.listen(lambda target, headers: (403, {}, b""), issued("localhost"))
        self.fake.location = f"https://localhost:{port}/storage"
        await self.assert_cause("storage", "refuses the registry's own URL (403)", url)

    async def test_redirect_to_http(self) -> None:
        url = self.serve()
        self.fake.location = "http://localhost:1/storage"
        await self.assert_cause("redirect", "from https to http", url)

    async def test_anything(self) -> None:
        """Whatever a server answers, there are steps, and nothing is sent twice."""
        random = Random(7)
        fake = Fake()
        pieces = [
            b"\r\n",
            b"\0",
            b"\xff",
            b'"',
            b"{",
            b"[",
            b"9" * 40,
            b"chunked",
            b"://",
        ]

        def spoilt(target: str, headers: Headers) -> bytes:
            data = written(fake.answer(target, headers))
            for _ in range(random.randrange(3)):
                at = random.randrange(len(data))
                data = (
                    data[:at] + random.choice(pieces) + data[at + random.randrange(9) :]
                )
            return data

        port = self.listen(spoilt)
        fake.realm = f"http://localhost:{port}/token"
        fake.location = f"http://localhost:{port}/storage"
        for _ in range(150):
            steps = await self.steps(f"http://localhost:{port}", seconds=2.0)
            self.assertGreater(len(steps), 2)
        for target, _ in self.requests:
            self.assertNotRegex(target, r"[\x00-\x20]")

    async def test_own_account(self) -> None:
        """Where regbroker speaks, its own account is tried."""
        password = self.directory / "password"
        password.write_text("the keeper's own")
        url = self.serve()
        account = f"username = keeper\npassword-file = {password}"
        await self.steps(
            url, login=None, registry="anonymous = shared", upstream=account
        )
        asked = next(h for t, h in self.requests if t.startswith("/token"))
        self.assertEqual(
            asked["Authorization"],
            "Basic " + base64.b64encode(b"keeper:the keeper's own").decode(),
        )

    async def test_not_served(self) -> None:
        with self.assertRaisesRegex(NoExamination, "NAME_INVALID"):
            await self.steps(self.serve(), image="localhost/App:1")


class ListenerTests(DoctorCase):
    """regbroker's own side, with regbroker running in front of its sandbox."""

    def configure(self, listen: str, host: str = "localhost") -> Path:
        path = self.directory / "regbroker.ini"
        path.write_text(
            f"[regbroker]\nlisten = {listen}\nstate-directory = var\n"
            f"[registry {host}]\nupstream = box\nnamespaces = * = *\n"
            "[upstream box]\nurl = sandbox:\nusers = alice:wonderland\n"
        )
        return path

    async def test_running(self) -> None:
        """A listener that answers, with its certificate, and a sandbox behind it."""
        path = self.configure("tls:{port}:interface=127.0.0.1")
        config = self.served(path.read_text())
        steps = await examine(reactor, config, Request(timeout=10))
        self.assertEqual([s for s in steps if s.trouble], [], list(lines(steps)))
        self.assertEqual(
            [step.name for step in steps],
            ["TCP", "TLS", "ping", "challenge", "not examined"],
        )
        self.assertIn("days left", steps[1].seen)
        # The same process, another configuration: its certificate is not for that.
        (listener,) = config.listen
        other = load_config(self.configure(listener.text, "other.test"))
        steps = await examine(reactor, other, Request(timeout=10, only="clients"))
        trouble = steps[-1].trouble
        assert trouble is not None
        self.assertIn("the certificate is not for other.test", trouble.problem)

    async def test_pull_through(self) -> None:
        """A client's way through regbroker to the end, and the upstream's own."""
        fake = Fake()
        behind = self.listen(fake.answer)
        fake.realm = f"http://localhost:{behind}/token"
        text = (
            "[regbroker]\nlisten = tls:{port}:interface=127.0.0.1\n"
            "state-directory = var\n"
            "[registry localhost]\nupstream = up\nnamespaces = * = acme/*\n"
            f"[upstream up]\nurl = http://localhost:{behind}\n"
        )
        config = self.served(text)
        request = Request(image="localhost/app:1.0", login=ALICE, timeout=10)
        steps = await examine(reactor, config, request)
        self.assertEqual([s for s in steps if s.trouble], [], list(lines(steps)))
        pulled = ["ping", "challenge", "token", "manifest", "of the index", "blob"]
        self.assertEqual(
            [step.name for step in steps],
            ["TCP", "TLS", *pulled, "DNS", "TCP", *pulled],
        )
        # What fails behind is seen on both sides.
        fake.answers = {"/v2/acme": (404, {}, errors("NAME_UNKNOWN"))}
        steps = await examine(reactor, config, request)
        self.assertEqual([s.name for s in steps if s.trouble], ["manifest"] * 2)
        self.assertIn("repository app does", steps[5].trouble.problem)  # type: ignore
        self.assertIn("repository acme/app", steps[-1].trouble.problem)  # type: ignore

    async def test_not_running(self) -> None:
        path = self.configure(f"tls:{self.closed_port()}:interface=127.0.0.1")
        (step, _) = await examine(reactor, load_config(path), Request(timeout=10))
        assert step.trouble is not None
        self.assertIn("nothing listens on port", step.trouble.problem)

    async def test_somebody_else(self) -> None:
        """Another program has the port."""
        port = self.listen(lambda target, headers: (404, {}, b"not here"))
        path = self.configure(f"tcp:{port}:interface=127.0.0.1")
        steps = await examine(
            reactor, load_config(path), Request(timeout=10, only="clients")
        )
        trouble = steps[-1].trouble
        assert trouble is not None
        self.assertIn("is not regbroker: it answered 404", trouble.problem)

    async def test_no_ports(self) -> None:
        """What the line does not say is not tried."""
        # Other tests have sockets handed over meanwhile, but not as many.
        path = self.configure("tls:systemd:domain=INET:index=57")
        steps = await examine(
            reactor, load_config(path), Request(timeout=10, only="clients")
        )
        self.assertEqual([step.name for step in steps], ["not examined"])


class CommandTests(DoctorCase):
    """The command as a process: what it prints, and how it ends."""

    def run_doctor(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = self.directory / "regbroker.ini"
        path.write_text(
            f"[regbroker]\nlisten = tcp:{self.closed_port()}:interface=127.0.0.1\n"
            "[registry *]\nupstream = up\nnamespaces = * = *\n"
            f"[upstream up]\nurl = http://127.0.0.1:{self.closed_port()}\n"
        )
        return subprocess.run(
            [sys.executable, "-m", "regbroker", "doctor", "-c", str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={k: v for k, v in os.environ.items() if k != "REGBROKER_PASSWORD"},
        )

    def test_text(self) -> None:
        finished = self.run_doctor()
        self.assertEqual((finished.returncode, finished.stderr), (1, ""))
        self.assertIn("  FAIL TCP ", finished.stdout)
        self.assertIn("       -> check the port in [regbroker] listen", finished.stdout)
        self.assertIn("2 steps, 2 failed", finished.stdout)

    def test_json(self) -> None:
        finished = self.run_doctor("--json", "--only", "upstream", "localhost/a:1")
        document = json.loads(finished.stdout)
        self.assertEqual((finished.returncode, document["ok"]), (1, False))
        (step,) = document["steps"]
        self.assertIn("nothing listens", step["problem"])

    def test_no_password(self) -> None:
        finished = self.run_doctor("--user", "alice")
        self.assertEqual(finished.returncode, 1)
        self.assertIn("--user needs a password", finished.stderr)
        self.assertNotIn("Traceback", finished.stderr)
