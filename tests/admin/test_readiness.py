"""Whether new clients should be sent here."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.readiness import Readiness, UpstreamState, readiness
from regbroker.admin.upstream_health import UpstreamHealth
from regbroker.causes import Cause
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from tests.admin.test_upstream_health import Pinged
from tests.settings.test_config import registry


def mapping(*upstreams: str) -> NameMapping:
    """The mapping of a registry that lists these upstreams."""
    return NameMapping([parse_rule("* = *")], upstreams)


GOOD, BAD = UpstreamState(True, ""), UpstreamState(False, "no answer in time")


class ReadinessTests(SynchronousTestCase):
    def test_one_of_several(self) -> None:
        """A registry is ready while one of its upstreams answers."""
        ready = Readiness(False, {"a.test": {"one": BAD, "two": GOOD}})
        self.assertTrue(ready.is_registry_ready("a.test"))
        self.assertTrue(ready.is_ready)

    def test_every_registry(self) -> None:
        """The service is ready while every registry is."""
        ready = Readiness(False, {"a.test": {"one": GOOD}, "b.test": {"two": BAD}})
        self.assertTrue(ready.is_registry_ready("a.test"))
        self.assertFalse(ready.is_registry_ready("b.test"))
        self.assertFalse(ready.is_ready)

    def test_draining(self) -> None:
        """A service that drains is not ready, whatever its registries are."""
        ready = Readiness(True, {"a.test": {"one": GOOD}})
        self.assertTrue(ready.is_registry_ready("a.test"))
        self.assertFalse(ready.is_ready)

    def test_document(self) -> None:
        """The document says what is in the way, and nothing of what is well."""
        ready = Readiness(False, {"a.test": {"one": BAD, "two": GOOD}})
        self.assertEqual(
            ready.document(),
            {
                "ready": True,
                "draining": False,
                "registries": {
                    "a.test": {
                        "ready": True,
                        "upstreams": {
                            "one": {"answers": False, "problem": "no answer in time"},
                            "two": {"answers": True},
                        },
                    }
                },
            },
        )


class HealthTests(SynchronousTestCase):
    def test_from_health(self) -> None:
        """Each registry has the state of those upstreams that it names."""
        clock = Clock()
        never_asked = cast(Any, Pinged())
        health = {
            name: UpstreamHealth(never_asked, clock, clock.seconds)
            for name in ("new", "good", "bad", "other")
        }
        for name, cause, status in (
            ("good", Cause.DONE, 200),
            ("bad", Cause.UPSTREAM_UNREACHABLE, 503),
        ):
            event = Event(clock.seconds, upstream_seconds=0.1, status=status)
            event.ended(cause, "it refuses the connection")
            health[name].note(event)
        ready = readiness(
            [
                registry(host="a.test", mapping=mapping("new", "good")),
                registry(host="b.test", mapping=mapping("bad")),
            ],
            health,
            draining=False,
        )
        self.assertEqual(
            ready.registries,
            {
                "a.test": {
                    "new": UpstreamState(False, "it has not answered yet"),
                    "good": UpstreamState(True, "it has not answered yet"),
                },
                "b.test": {"bad": UpstreamState(False, health["bad"].last_error)},
            },
        )
        self.assertIn("it refuses the connection", health["bad"].last_error)
