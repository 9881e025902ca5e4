"""The embedding API: a configuration becomes a service."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import reactor
from twisted.internet.protocol import ServerFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from regbroker.credchecker import CheckerAccounts
from regbroker.errors import ConfigurationError, StateError
from regbroker.service import (
    RegbrokerService,
    build_service,
    listeners,
    load_config,
    warnings_about,
)
from tests.proxycase import SocketTestCase

CONFIG = """
[regbroker]
listen = tcp:0:interface=127.0.0.1
state-directory = state
[registry *]
upstream = up
namespaces = * = *
{registry}
[upstream up]
url = http://127.0.0.1:5000
{more}
"""

ACCOUNTS = """
[accounts staff]
application = yes
[access staff]
alice = **: pull
"""


def written(directory: str, registry: str = "", more: str = "") -> Path:
    """A file with the configuration of one registry."""
    path = Path(directory).absolute()
    (path / "state").mkdir(parents=True)
    file = path / "regbroker.ini"
    file.write_text(CONFIG.format(registry=registry, more=more))
    return file


class BuildTests(SynchronousTestCase):
    def told(self) -> list[str]:
        """What the log is told from now on, as it comes."""
        told: list[str] = []

        def note(event: Any) -> None:
            if event.get("log_namespace") == "regbroker.service":
                told.append(formatEvent(event))

        observe: Any = note
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return told

    def test_environment(self) -> None:
        """A proxy of the environment that nobody uses is named once, and not shown."""
        before = dict(os.environ)
        self.addCleanup(os.environ.update, before)
        self.addCleanup(os.environ.clear)
        os.environ["HTTPS_PROXY"] = "http://u:secret@proxy.test:1"
        config = load_config(written(self.mktemp()))
        memory: Any = MemoryReactorClock()
        told = self.told()
        service = build_service(config, memory)
        service.reload(config)
        (line,) = told
        self.assertIn("HTTPS_PROXY in the environment: not used for", line)
        self.assertNotIn("secret", line)

    def test_sources_of_nobody(self) -> None:
        """Accounts for a section that is not there are named in the log."""
        file = written(self.mktemp(), "accounts = staff", ACCOUNTS)
        checker = InMemoryUsernamePasswordDatabaseDontUse()
        brought = [CheckerAccounts(checker)]
        told = self.told()
        build_service(load_config(file), reactor, {"staff": brought})
        self.assertEqual(told, [])
        build_service(load_config(file), reactor, {"staff": brought, "staf": brought})
        (line,) = told
        self.assertIn("no [accounts staf] section", line)

    def test_opens_nothing(self) -> None:
        """Before it is started, nothing listens and nothing is asked."""
        memory: Any = MemoryReactorClock()
        service = build_service(load_config(written(self.mktemp())), memory)
        self.assertIsInstance(service, RegbrokerService)
        self.assertEqual((memory.tcpServers, memory.tcpClients), ([], []))
        self.assertEqual(memory.getDelayedCalls(), [])

    def test_makes_keys(self) -> None:
        """What is missing in the state directory is made before it is started."""
        file = written(self.mktemp())
        file.write_text(file.read_text().replace("tcp:0", "tls:0"))
        memory: Any = MemoryReactorClock()
        config = load_config(file)
        self.assertEqual(os.listdir(config.state_directory), [])
        build_service(config, memory)
        self.assertEqual(
            sorted(os.listdir(config.state_directory)),
            ["self-signed.key", "self-signed.pem", "token-key.pem"],
        )

    def test_reactor(self) -> None:
        """Twisted's own reactor is taken with the type that it has there: see mypy."""
        service = build_service(load_config(written(self.mktemp())), reactor)
        self.assertEqual(len(listeners(service)), 1)

    def test_problems(self) -> None:
        """What cannot be served is refused, with every problem."""
        file = written(self.mktemp(), "redirects = maybe", "idle-timeout = long")
        error = self.assertRaises(ConfigurationError, load_config, file)
        self.assertEqual(len(error.problems), 2)

    def test_warnings(self) -> None:
        """What has no effect is a warning, and is served."""
        more = "[upstream spare]\nurl = http://127.0.0.1:5001"
        config = load_config(written(self.mktemp(), more=more))
        self.assertIn("spare", " ".join(map(str, warnings_about(config))))
        memory: Any = MemoryReactorClock()
        build_service(config, memory)

    def test_no_account_sources(self) -> None:
        """Accounts that the application has to bring are missing without it."""
        file = written(self.mktemp(), "accounts = staff", ACCOUNTS)
        memory: Any = MemoryReactorClock()
        error = self.assertRaises(
            ConfigurationError, build_service, load_config(file), memory
        )
        self.assertIn("build_service: account_sources={'staff': [...]}", str(error))


class RunningTests(SocketTestCase):
    def start(self, service: RegbrokerService) -> RegbrokerService:
        """Run a service as the child of another one."""
        parent = MultiService()
        service.setServiceParent(parent)
        parent.privilegedStartService()
        parent.startService()
        self.addCleanup(parent.stopService)
        return service

    async def test_listeners(self) -> None:
        """A started service says where it listens, and answers there."""
        config = load_config(written(self.mktemp()))
        service = self.start(build_service(config, self.reactor))
        (listener,) = listeners(service)
        port = int(listener.url.rpartition(":")[2])
        self.assertTrue(listener.url.startswith("http://127.0.0.1:"))
        client = await self.connect_to(port)
        self.assertEqual((await client.ask("GET", "/nothing")).status, 404)

    async def test_stopped_unstarted(self) -> None:
        """A service whose port is taken never runs, and is stopped as any other."""
        taken = self.reactor.listenTCP(0, ServerFactory(), interface="127.0.0.1")
        self.addCleanup(taken.stopListening)
        listen = f"tcp:{taken.getHost().port}:interface=127.0.0.1"
        file = written(self.mktemp())
        file.write_text(file.read_text().replace("tcp:0:interface=127.0.0.1", listen))
        service = build_service(load_config(file), self.reactor)
        with self.assertRaises(StateError):
            service.privilegedStartService()
        stopped: list[tuple[bool, object]] = await service.stopService()
        self.assertEqual([why for is_done, why in stopped if not is_done], [])

    async def test_account_sources(self) -> None:
        """The application's own users log in, and nobody else does."""
        checker = InMemoryUsernamePasswordDatabaseDontUse(alice=b"wonderland")
        sources = {"staff": [CheckerAccounts(checker)]}
        config = load_config(written(self.mktemp(), "accounts = staff", ACCOUNTS))
        service = self.start(build_service(config, self.reactor, sources))
        (listener,) = listeners(service)
        client = await self.connect_to(int(listener.url.rpartition(":")[2]))
        for password, status in (("wonderland", 200), ("looking-glass", 401)):
            basic = b64encode(f"alice:{password}".encode()).decode()
            reply = await client.ask(
                "GET", "/auth?service=registry.test", f"Authorization: Basic {basic}"
            )
            self.assertEqual(reply.status, status)
