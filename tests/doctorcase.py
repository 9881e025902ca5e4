"""Registries as tables of answers, on real listeners, for the tests of doctor."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from regbroker.cli.doctor.command import Request, examine
from regbroker.cli.doctor.steps import Step, lines
from regbroker.service import build_service, listeners, load_config
from regbroker.settings.config import Config
from regbroker.transport.certificates.served import certificate_options
from regbroker.upstream.credentials import Login
from tests.certificates import Pair, authority

reactor: Any = _reactor

ALICE = Login("alice", "alice's secret")
BLOB = b"first bytes of a layer" * 100
DIGEST = "sha256:" + "b" * 64
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = {
    "config": {"digest": "sha256:" + "c" * 64},
    "layers": [{"digest": DIGEST}],
}
INDEX = {"manifests": [{"digest": "sha256:" + "d" * 64}]}

Headers = dict[str, str]
Reply = tuple[int, Headers, Any]


class Script(Protocol):
    """Answers one request as its factory says, and closes the connection."""

    def __init__(self) -> None:
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        head, found, _ = self._data.partition(b"\r\n\r\n")
        factory: Any = self.factory
        if not found or factory.answer is None:
            return
        assert self.transport is not None
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = dict(each.split(": ", 1) for each in rest)
        target = line.split(" ")[1]
        factory.requests.append((target, headers))
        reply = factory.answer(target, headers)
        if isinstance(reply, bytes):
            self.transport.write(reply)
        else:
            self.transport.write(written(reply))
        self.transport.loseConnection()


def written(reply: Reply) -> bytes:
    """A reply as it goes over the wire."""
    status, headers, body = reply
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Length": str(len(data)), **headers}
    lines = [f"HTTP/1.1 {status} Said", *(f"{n}: {v}" for n, v in sent.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


def errors(code: str) -> dict[str, Any]:
    """An error as registries write it."""
    return {"errors": [{"code": code, "message": "no"}]}


def token(*actions: str, name: str = "acme/app") -> str:
    """A token that says what it grants; its signature is nobody's business here."""
    claims = {"access": [{"type": "repository", "name": name, "actions": actions}]}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return f"eyJhbGciOiJub25lIn0.{payload.decode()}.c2VjcmV0LXNpZ25hdHVyZQ"


@dataclass
class Fake:
    """A registry as a table of answers by the beginnings of targets."""

    realm: str = ""
    answers: dict[str, Reply] = field(default_factory=dict)
    location: str = ""

    def answer(self, target: str, headers: Headers) -> Reply:
        """The longest beginning counts; what is not in the table is well."""
        for beginning in sorted(self.answers, key=len, reverse=True):
            if target.startswith(beginning):
                return self.answers[beginning]
        if target.startswith("/token"):
            return 200, {}, {"token": token("pull")}
        if self.realm and not headers.get("Authorization", "").startswith("Bearer "):
            challenge = f'Bearer realm="{self.realm}",service="reg"'
            return 401, {"WWW-Authenticate": challenge}, errors("UNAUTHORIZED")
        if "/manifests/1.0" in target:
            return (
                200,
                {"Content-Type": "application/vnd.oci.image.index.v1+json"},
                INDEX,
            )
        if "/manifests/" in target:
            return 200, {"Content-Type": MANIFEST_TYPE}, MANIFEST
        if "/blobs/" in target and self.location:
            return 307, {"Location": self.location}, b""
        if "/blobs/" in target or target.startswith("/storage"):
            return 206, {}, BLOB[:1024]
        return 200, {}, {}


class DoctorCase(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.ca_file = self.directory / "ca.pem"
        self.ca_file.write_bytes(authority().certificate)
        self.requests: list[tuple[str, Headers]] = []

    def listen(
        self, answer: Callable[[str, Headers], Any] | None, pair: Pair | None = None
    ) -> int:
        """Listen on loopback, with TLS if there is a certificate; returns the port."""
        factory: Any = Factory.forProtocol(Script)
        factory.answer, factory.requests, factory.noisy = answer, self.requests, False
        port: IListeningPort
        if pair is None:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        else:
            options = certificate_options(pair.certificate, pair.key)
            port = reactor.listenSSL(0, factory, options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port  # type: ignore[attr-defined]
        return number

    def listen_at_once(self, data: bytes) -> int:
        """A server that answers to whatever comes."""

        class AtOnce(Protocol):
            def dataReceived(self, _: bytes) -> None:
                assert self.transport is not None
                self.transport.write(data)
                self.transport.loseConnection()

        port = reactor.listenTCP(0, Factory.forProtocol(AtOnce), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def closed_port(self) -> int:
        """A port of which the kernel has said that nobody has it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            number: int = probe.getsockname()[1]
        return number

    def served(self, text: str) -> Config:
        """Serve a configuration; return it with the last listener's ``{port}``."""
        path = self.directory / "regbroker.ini"
        path.write_text(text.format(port=0))
        service = build_service(load_config(path), reactor)
        service.startService()
        self.addCleanup(service.stopService)
        port = listeners(service)[-1].url.rsplit(":", 1)[-1]
        path.write_text(text.format(port=port))
        return load_config(path)

    async def steps(
        self,
        url: str,
        *,
        image: str = "localhost/app:1.0",
        login: Login | None = ALICE,
        registry: str = "",
        upstream: str = "",
        seconds: float = 10.0,
    ) -> list[Step]:
        """Examine an upstream at this URL."""
        path = self.directory / "regbroker.ini"
        path.write_text(
            "[regbroker]\nlisten = tcp:0\n"
            "[registry localhost]\nupstream = up\nnamespaces = * = acme/*\n"
            f"{registry}\n"
            f"[upstream up]\nurl = {url}\nca-file = {self.ca_file}\n{upstream}\n"
        )
        request = Request(image=image, login=login, only="upstream", timeout=seconds)
        found = await examine(reactor, load_config(path), request)
        # Secrets are in nothing that is printed.
        printed = "\n".join([*lines(found), *(repr(step) for step in found)])
        for secret in (ALICE.password, token("pull").split(".")[2], "X-Signature"):
            self.assertNotIn(secret, printed)
        return found

    async def assert_cause(self, name: str, words: str, url: str, **others: Any) -> str:
        """One step fails, this one, and says why; returns the advice."""
        steps = await self.steps(url, **others)
        failed = [step for step in steps if step.trouble is not None]
        self.assertEqual([step.name for step in failed], [name], list(lines(steps)))
        trouble = failed[0].trouble
        assert trouble is not None
        self.assertIn(words, trouble.problem)
        return trouble.advice
