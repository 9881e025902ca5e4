"""The limits that a configuration and this machine allow for."""

from __future__ import annotations

import resource
from ipaddress import ip_network
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.bounded_lines import MAX_LINES_OF_A_CLIENT
from regbroker.settings.config import Config
from regbroker.transport.listening.connection_limits import (
    MIN_RESERVE,
    Refusal,
    connection_limits,
)
from regbroker.transport.listening.entrance import (
    MAX_ANSWERED_REFUSALS,
    Entrance,
    build_entrance,
    limits_here,
)

CONFIG = Config(registries=(), upstreams={})


class LimitsTests(SynchronousTestCase):
    def built(self, **given: Any) -> tuple[Entrance, list[str]]:
        """The entrance, and the warnings."""
        with capturedLogs() as logged:
            entrance = build_entrance(Clock(), (), 60.0, **given)
        warnings = [e for e in logged if e["log_level"] is LogLevel.warn]
        return entrance, [formatEvent(event) for event in warnings]

    def test_of_this_machine(self) -> None:
        """The soft limit for files counts."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        known = None if files == resource.RLIM_INFINITY else files
        entrance, warnings = self.built()
        self.assertEqual(entrance.occupancy.limits, connection_limits(known))
        self.assertEqual(warnings, [])

    def test_other_limits(self) -> None:
        """Another limit makes other connections; who writes more is warned."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
        entrance, warnings = self.built()
        self.assertEqual((entrance.occupancy.limits.total, warnings), (437, []))
        entrance, warnings = self.built(total=438)
        self.assertEqual(entrance.occupancy.limits.total, 438)
        (warning,) = warnings
        self.assertIn("max-connections: 438 is more than this", warning)
        self.assertIn("1000 files, enough for 437", warning)

    def test_told(self) -> None:
        """Who is told that there are too many has a place in the reserve."""
        self.assertLess(MAX_ANSWERED_REFUSALS, MIN_RESERVE)

    def test_stop(self) -> None:
        """What refused clients have sent is told at the end, and no timer is left."""
        clock: Any = Clock()
        entrance = Entrance(connection_limits(None), (), clock)
        entrance.refused(Refusal.TOTAL, None)
        site = entrance.refusing_site
        with capturedLogs() as logged:
            for _ in range(MAX_LINES_OF_A_CLIENT + 1):
                site.malformed.tell("203.0.113.7", "no good")
                site.failed_tls.tell("203.0.113.7", "tls:443", SSL.Error(), "")
            entrance.stop()
        self.assertEqual([e["left_out"] for e in logged if "left_out" in e], [1, 1])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_changed(self) -> None:
        """Other limits count for the next connection, other proxies are believed."""
        entrance, _ = self.built(total=5)
        entrance.occupancy.enter(None)
        limits = limits_here(1, 1)
        entrance.change(limits, [ip_network("192.0.2.1")], 5.0)
        self.assertEqual(entrance.occupancy.refusal(None), Refusal.TOTAL)
        self.assertIsNone(entrance.place(IPv4Address("TCP", "192.0.2.1", 1)))
        self.assertEqual(entrance.silence, 5.0)
