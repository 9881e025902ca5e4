"""The audit log: which requests it tells of, and in which words."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from regbroker.audit import (
    ACTIONS,
    FIELDS,
    NAMESPACE,
    OUTCOMES,
    login_outcome,
    tell_configuration,
    tell_request,
)
from regbroker.events import Event

PASSWORD, TOKEN = {"credentials": "password"}, {"credentials": "token"}
ROBOT = {"credentials": "robot-token"}
PUT = {"method": "PUT", "endpoint": "manifest"}


def told(**fields: Any) -> LogEvent | None:
    """What is told of a request, if anything."""
    with capturedLogs() as logged:
        tell_request(Event(Clock().seconds, **fields))
    return logged[0] if logged else None


class RequestTests(SynchronousTestCase):
    def test_which(self) -> None:
        """Action and outcome, by what was asked and answered."""
        for fields, expected in (
            ({"status": 401}, None),
            ({"status": 200, "endpoint": "manifest", "method": "GET"}, None),
            ({"status": 404, "endpoint": "manifest", "method": "GET"}, None),
            ({"status": 200, "endpoint": "token"}, None),
            ({"status": 200, "endpoint": "token"} | TOKEN, None),
            ({"status": 200, "endpoint": "token"} | PASSWORD, "login accepted"),
            ({"status": 401, "endpoint": "token"} | PASSWORD, "login refused"),
            ({"status": 200, "endpoint": "token"} | ROBOT, "login accepted"),
            ({"status": 401, "endpoint": "token"} | ROBOT, "login refused"),
            ({"status": 403, "endpoint": "blob"} | ROBOT, "access refused"),
            ({"status": 403, "endpoint": "token"} | PASSWORD, "login refused"),
            ({"status": 429, "endpoint": "token"} | PASSWORD, "login throttled"),
            ({"status": 503, "endpoint": "token"} | PASSWORD, "login failed"),
            ({"status": 200, "endpoint": "base"} | PASSWORD, "login accepted"),
            ({"status": 200, "endpoint": "blob"} | PASSWORD, None),
            ({"status": 401, "endpoint": "blob"} | PASSWORD, "login refused"),
            ({"status": 403, "endpoint": "blob"} | PASSWORD, "access refused"),
            ({"status": 401, "endpoint": "blob"} | TOKEN, "access refused"),
            ({"status": 403, "endpoint": "blob"}, "access refused"),
            ({"status": 201} | PUT, "push accepted"),
            ({"status": 201} | PUT | PASSWORD, "push accepted"),
            ({"status": 401} | PUT, None),
            ({"status": 401} | PUT | TOKEN, "push refused"),
            ({"status": 403} | PUT, "push refused"),
            ({"status": 400} | PUT, "push failed"),
            ({"status": 0} | PUT, "push failed"),
            (
                {"status": 202, "endpoint": "blob", "method": "DELETE"},
                "delete accepted",
            ),
            (
                {"status": 404, "endpoint": "manifest", "method": "DELETE"},
                "delete failed",
            ),
            ({"status": 204, "endpoint": "upload", "method": "DELETE"}, None),
            (
                {"status": 201, "endpoint": "uploads", "mounted_from": "team/base"},
                "mount accepted",
            ),
            ({"status": 202, "endpoint": "uploads", "mounted_from": "team/base"}, None),
            ({"status": 201, "endpoint": "uploads"}, None),
        ):
            entry = told(**fields)
            self.assertEqual(entry and entry["summary"], expected, fields)
            if entry is not None:
                self.assertIn(entry["action"], ACTIONS)
                self.assertIn(entry["outcome"], OUTCOMES)

    def test_login_outcome(self) -> None:
        """What a status says of a password, where the request was about others."""
        for status, outcome in (
            (0, "unknown"),
            (200, "accepted"),
            (401, "refused"),
            (403, "accepted"),
            (404, "accepted"),
            (429, "limited"),
            (500, "unknown"),
            (503, "unknown"),
        ):
            event = Event(lambda: 0.0)
            event.status, event.endpoint = status, "manifest"
            self.assertEqual(login_outcome(event), outcome, status)

    def test_whole(self) -> None:
        """Who, from where, what, with which digest; as keywords and as a line."""
        entry = told(
            client="192.0.2.1",
            user='al"ice',
            registry="registry.test",
            path="/v2/team/app/manifests/1.0",
            public_name="team/app",
            digest="sha256:ab",
            request_id="0123456789ab",
            status=201,
            **PUT,
        )
        assert entry is not None
        self.assertEqual(entry["log_namespace"], NAMESPACE)
        self.assertEqual(
            {name: entry[name] for name in FIELDS},
            {
                "action": "push",
                "outcome": "accepted",
                "request_id": "0123456789ab",
                "client": "192.0.2.1",
                "user": 'al"ice',
                "token": None,
                "identity": None,
                "issuer": None,
                "subject": None,
                "claims": None,
                "registry": "registry.test",
                "repository": "team/app",
                "reference": "1.0",
                "digest": "sha256:ab",
                "status": 201,
                "code": None,
                "reason": None,
            },
        )
        self.assertEqual(
            entry["line"],
            "action=push outcome=accepted request_id=0123456789ab client=192.0.2.1 "
            'user="al?ice" token=- identity=- issuer=- subject=- claims=- '
            "registry=registry.test repository=team/app "
            "reference=1.0 digest=sha256:ab status=201 code=- reason=-",
        )

    def test_robot_token(self) -> None:
        """A robot token is named by its id, with why it was refused."""
        fields: dict[str, Any] = {"token_id": "r1", "login_problem": "it is revoked"}
        entry = told(status=401, endpoint="token", **ROBOT, **fields)
        assert entry is not None
        self.assertEqual((entry["token"], entry["reason"]), ("r1", "it is revoked"))
        entry = told(status=201, token_id="r1", **TOKEN, **PUT)
        assert entry is not None
        self.assertEqual((entry["summary"], entry["token"]), ("push accepted", "r1"))

    def test_mount(self) -> None:
        """A mount says from where."""
        entry = told(status=201, endpoint="uploads", mounted_from="team/base")
        assert entry is not None
        self.assertEqual(entry["reference"], "team/base")


class ConfigurationTests(SynchronousTestCase):
    def test_told(self) -> None:
        """A configuration has its file, and its first problem."""
        with capturedLogs() as logged:
            tell_configuration("refused", "/etc/a.ini", "[registry x]: wrong")
        (entry,) = logged
        self.assertEqual(entry["summary"], "configuration refused")
        self.assertEqual(entry["reference"], "/etc/a.ini")
        self.assertTrue(entry["line"].endswith('reason="[registry x]: wrong"'))
