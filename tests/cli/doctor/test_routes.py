"""Ways to servers; `tests.integration.test_doctor_ways` goes them with real peers."""

from __future__ import annotations

from pathlib import PurePath

from regbroker.cli.doctor import wire
from regbroker.cli.doctor.routes import Routes, Ways
from regbroker.cli.doctor.steps import Stopped, Trouble
from regbroker.protocol.origins import Origin
from regbroker.transport.client.way_out import Proxy, WayOut
from tests.doctorcase import DoctorCase, reactor


class RoutesTests(DoctorCase):
    def note(
        self, name: str, seconds: float, seen: str, trouble: Trouble | None = None
    ) -> None:
        """Note a step."""
        self.noted.append(name)
        if trouble is not None:
            raise Stopped

    def routes(self, ways: Ways) -> Routes:
        """Ways that are tried."""
        self.noted: list[str] = []
        return Routes(reactor, ways, 5.0, self.note)

    def test_has_proxy(self) -> None:
        """What is not looked up is reached without a proxy."""
        proxies = {"https": Proxy(Origin("http", "proxy.test", 3128))}
        ways = Ways(
            way=WayOut(proxies=proxies), places={"here.test": PurePath("/run/s")}
        )
        self.assertTrue(ways.has_proxy(Origin("https", "a.test", 443)))
        self.assertFalse(ways.has_proxy(Origin("http", "a.test", 80)))
        self.assertFalse(ways.has_proxy(Origin("https", "here.test", 443)))

    async def test_preamble(self) -> None:
        """It is the first that a server hears, at a known place alone."""
        heard: list[str] = []

        def answer(target: str, headers: object) -> tuple[int, dict[str, str], bytes]:
            heard.append(target)
            return 200, {}, b""

        port = self.listen(answer)
        ways = Ways(places={"a.test": "127.0.0.1"}, preamble=b"GET /first HTTP/1.1\r\n")
        routes = self.routes(ways)
        for host, first in (("a.test", "/first"), ("127.0.0.1", "/second")):
            route = await routes.find(
                Origin("http", host, port), "WHERE", "", lambda address: None
            )
            self.assertEqual(route.called, f"port {port} of {host}")
            peer = await wire.dial(reactor, route.endpoint, 5.0)
            lines = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
            if first == "/first":
                lines = b"Host: a\r\n\r\n"
            await wire.ask(reactor, peer, lines, 5.0)
            self.assertEqual(heard[-1], first)
        self.assertEqual(self.noted, ["TCP", "TCP"])

    async def test_stopped(self) -> None:
        """A socket that is not there stops what comes after it."""
        ways = Ways(places={"a.test": PurePath(self.directory / "none")})
        with self.assertRaises(Stopped):
            await self.routes(ways).find(
                Origin("https", "a.test", 443), "WHERE", "x: ", lambda address: None
            )
        self.assertEqual(self.noted, ["x: socket"])
