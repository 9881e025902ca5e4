"""What is counted of each request, and by which labels."""

from __future__ import annotations

from typing import Any

from prometheus_client.exposition import generate_latest
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin import counting
from regbroker.admin.counting import Counting, is_refusal
from regbroker.audit import login_outcome
from regbroker.causes import Cause
from regbroker.events import Event
from tests.admin.case import samples


class CountingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.counting = Counting()

    def event(self, **fields: Any) -> Event:
        """The event of a pull that has ended well, with other fields."""
        given: dict[str, Any] = {
            "method": "GET",
            "section": "a.test",
            "endpoint": "manifest",
            "public_name": "team/app",
            "status": 200,
        }
        return Event(self.clock.seconds, **{**given, **fields})

    def counted(self, *events: Event) -> dict[str, float]:
        """What is counted beyond nothing when these requests have ended."""
        for event in events:
            self.counting.count(event)
        text = b"".join(
            generate_latest(_Only(family)) for family in self.counting.families()
        )
        return {k: v for k, v in samples(text.decode()).items() if v}

    def test_requests(self) -> None:
        """By registry, endpoint, method and status."""
        found = self.counted(self.event(), self.event(), self.event(status=404))
        start = 'regbroker_http_requests_total{endpoint="manifest",method="GET",'
        self.assertEqual(found[f'{start}registry="a.test",status="200"}}'], 2)
        self.assertEqual(found[f'{start}registry="a.test",status="404"}}'], 1)

    def test_labels_are_ours(self) -> None:
        """No label is what a client has made up."""
        found = self.counted(
            Event(
                self.clock.seconds,
                method="EVIL",
                registry="evil.test",
                path="/evil",
                user="evil",
                client="evil",
                public_name="evil/app",
                credentials="password",
                status=421,
                code="NAME_UNKNOWN",
                refusal="evil",
            )
        )
        self.assertNotIn("evil", str(found).lower())
        self.assertEqual(
            found[
                'regbroker_http_requests_total{endpoint="other",method="other",'
                'registry="none",status="421"}'
            ],
            1,
        )

    def test_seconds(self) -> None:
        """How long requests take, and how long the upstream does."""
        event = self.event(upstream="up", upstream_seconds=0.3)
        self.clock.advance(2)
        found = self.counted(event)
        self.assertEqual(
            found['regbroker_http_request_duration_seconds_sum{endpoint="manifest"}'], 2
        )
        start = "regbroker_upstream_response_seconds"
        labels = 'endpoint="manifest",upstream="up"'
        self.assertEqual(found[f"{start}_sum{{{labels}}}"], 0.3)
        bucket = f'{start}_bucket{{endpoint="manifest",le="0.5",upstream="up"}}'
        self.assertEqual(found[bucket], 1)

    def test_proxied(self) -> None:
        """By upstream and outcome; what never went to one is not counted."""
        found = self.counted(
            self.event(upstream="up", upstream_seconds=1.0),
            self.event(
                upstream="up", upstream_seconds=1.0, cause=Cause.UPSTREAM_BROKE_OFF
            ),
            self.event(upstream="up,other", upstream_seconds=1.0, endpoint="token"),
            self.event(upstream="up"),
        )
        start = "regbroker_proxied_requests_total"
        self.assertEqual(
            {k: v for k, v in found.items() if k.startswith(start)},
            {
                f'{start}{{endpoint="manifest",outcome="done",upstream="up"}}': 1,
                f'{start}{{endpoint="manifest",outcome="upstream-broke-off",'
                'upstream="up"}': 1,
                f'{start}{{endpoint="token",outcome="done",upstream="several"}}': 1,
            },
        )

    def test_logins(self) -> None:
        """A password's outcome; a token is no login."""
        for endpoint, status, outcome in (
            ("token", 200, "accepted"),
            ("token", 401, "refused"),
            ("token", 403, "refused"),
            ("manifest", 403, "accepted"),
            ("manifest", 404, "accepted"),
            ("base", 401, "refused"),
            ("token", 429, "limited"),
            ("token", 503, "unknown"),
            ("token", 0, "unknown"),
        ):
            event = self.event(endpoint=endpoint, status=status, credentials="password")
            self.assertEqual(login_outcome(event), outcome, (endpoint, status))
        found = self.counted(
            self.event(endpoint="token", status=401, credentials="password"),
            self.event(status=401, credentials="token"),
        )
        logins = {k: v for k, v in found.items() if "logins" in k}
        self.assertEqual(
            logins, {'regbroker_logins_total{outcome="refused",registry="a.test"}': 1}
        )

    def test_identity_logins(self) -> None:
        """A JWT counts by its issuer's section, and as nobody's password."""
        for endpoint, status, outcome in (
            ("token", 200, "accepted"),
            ("token", 400, "refused"),
            ("base", 401, "refused"),
            ("token", 503, "unknown"),
        ):
            event = self.event(endpoint=endpoint, status=status, credentials="identity")
            event.code = "UNAUTHORIZED" if status == 400 else ""
            self.assertEqual(login_outcome(event), outcome, (endpoint, status))
        found = self.counted(
            self.event(
                endpoint="token", status=200, credentials="identity", identity="ci"
            ),
            self.event(endpoint="token", status=401, credentials="identity"),
        )
        name = "regbroker_identity_logins_total"
        self.assertEqual(
            {k: v for k, v in found.items() if "logins" in k},
            {
                f'{name}{{identity="ci",outcome="accepted",registry="a.test"}}': 1,
                f'{name}{{identity="none",outcome="refused",registry="a.test"}}': 1,
            },
        )

    def test_refusals(self) -> None:
        """More than that something is not there, or that there are tokens."""
        for fields, refused in (
            ({}, False),
            ({"status": 401, "code": "UNAUTHORIZED"}, False),
            ({"status": 401, "code": "UNAUTHORIZED", "credentials": "token"}, True),
            ({"status": 403, "code": "DENIED"}, True),
            ({"status": 404, "code": "NAME_UNKNOWN"}, True),
            ({"status": 404, "code": "X", "upstream_seconds": 0.1}, False),
            ({"status": 400, "code": "UNSUPPORTED"}, True),
            ({"status": 405, "code": "UNSUPPORTED"}, True),
            ({"status": 408, "code": "UNKNOWN"}, True),
            ({"status": 413, "code": "SIZE_INVALID"}, True),
            ({"status": 416, "code": "UNSUPPORTED"}, False),
            ({"status": 421, "code": "NAME_UNKNOWN"}, True),
            ({"status": 431, "code": "UNSUPPORTED"}, True),
            ({"status": 429, "code": "TOOMANYREQUESTS"}, True),
            ({"status": 502, "code": "UNAVAILABLE"}, False),
        ):
            self.assertEqual(is_refusal(self.event(**fields)), refused, fields)
        found = self.counted(self.event(status=403, code="DENIED"))
        name = 'regbroker_refused_requests_total{code="DENIED",registry="a.test"}'
        self.assertEqual(found[name], 1)

    def test_bytes(self) -> None:
        """Of bodies, in both directions."""
        self.counted(self.event(bytes_in=3, bytes_out=5), self.event(bytes_out=2))
        key = ("a.test", "manifest")
        self.assertEqual(self.counting.bytes_in[key], 3)
        self.assertEqual(self.counting.bytes_out[key], 7)

    def test_no_repositories(self) -> None:
        """Nobody reads a repository's name in the metrics, unless it is asked for."""
        self.assertNotIn("team/app", str(self.counted(self.event())))

    def test_repositories(self) -> None:
        """By public name and action, where the upstream has said yes; not too many."""
        self.patch(counting, "MAX_REPOSITORIES", 2)
        self.counting = Counting(by_repository=True)
        found = self.counted(
            self.event(),
            self.event(endpoint="blob"),
            self.event(endpoint="upload", method="PUT", status=201),
            self.event(endpoint="manifest", method="DELETE", status=202),
            self.event(endpoint="base"),
            self.event(method="HEAD"),
            self.event(public_name="not/there", status=404),
            self.event(public_name="two"),
            self.event(public_name="three"),
        )
        start = 'regbroker_repository_requests_total{action="'
        self.assertEqual(
            {k: v for k, v in found.items() if "repository_requests" in k},
            {
                f'{start}pull",registry="a.test",repository="team/app"}}': 2,
                f'{start}push",registry="a.test",repository="team/app"}}': 1,
                f'{start}delete",registry="a.test",repository="team/app"}}': 1,
                f'{start}pull",registry="a.test",repository="two"}}': 1,
                f'{start}pull",registry="a.test",repository="(others)"}}': 1,
            },
        )


class _Only:
    """A collection with one family."""

    def __init__(self, family: Any) -> None:
        self._family = family

    def collect(self) -> list[Any]:
        """Return it."""
        return [self._family]
