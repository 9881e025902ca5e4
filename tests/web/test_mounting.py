"""A mount on its way up, and what becomes of it when the upstream refuses it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.broker.mounts import MountChallenges
from regbroker.errors import Denied, UpstreamUnavailable
from regbroker.protocol.challenges import parse_challenges
from regbroker.web.exchange import Exchange, Sent, UpstreamRequest, request_to
from regbroker.web.mounting import forward_mount
from tests.web.requests import MAPPING, asked

UPLOADS = "/v2/team/app/blobs/uploads/"


class Reply:
    """A reply of an upstream, of which only the head counts."""

    def __init__(self, status: int, challenge: str = "") -> None:
        self.status = status
        self.challenges = parse_challenges([challenge] if challenge else [])
        self.is_aborted = False

    def abort(self) -> None:
        """Note that nobody wants the body."""
        self.is_aborted = True


class Forwarder:
    """Answers with what the test says, one after the other."""

    def __init__(self, *answers: Reply | Exception) -> None:
        self.answers = list(answers)
        self.queries: list[str] = []

    async def forward(self, request: UpstreamRequest) -> Exchange:
        """Answer a request."""
        self.queries.append(str(request.query))
        answer: Any = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Exchange(request, Sent("", (), is_ours=False), answer)


MOUNT = "mount=sha256:1&from=acme_team/b"
BEARER = 'Bearer realm="https://up.test/token"'


class MountingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.challenges = MountChallenges(lambda: 0.0)

    def begin(
        self, *answers: Reply | Exception, authorization: str = "Bearer x"
    ) -> Deferred[Exchange]:
        """Forward a mount while the upstream answers with these."""
        request = asked(
            "POST", UPLOADS, authorization, query="mount=sha256:1&from=team/b"
        )
        request = request.mounting(MAPPING.route("team/b"), "team/b")
        request = request.mounted_by(self.challenges, "alice", can_widen=True)
        self.forwarder = Forwarder(*answers)
        forwarder: Any = self.forwarder
        mounting = forward_mount(forwarder, request_to("up", request))
        return Deferred.fromCoroutine(mounting)

    def status(self, *answers: Reply | Exception, **options: str) -> int:
        """The status that the client gets."""
        return self.successResultOf(self.begin(*answers, **options)).reply.status

    def test_mounted(self) -> None:
        """It is sent once, with the upstream's name."""
        self.assertEqual(self.status(Reply(201)), 201)
        self.assertEqual(self.forwarder.queries, [MOUNT])

    def test_challenged_once(self) -> None:
        """The client is challenged once for a wider token; then it is an upload."""
        self.assertEqual(self.status(Reply(401, BEARER)), 401)
        refused = Reply(401, BEARER)
        self.assertEqual(self.status(refused, Reply(202)), 202)
        self.assertEqual(self.forwarder.queries, [MOUNT, ""])
        self.assertTrue(refused.is_aborted)

    def test_challenged_again_once_it_helped(self) -> None:
        """A client that has mounted knows how to come again."""
        self.status(Reply(401, BEARER))
        self.status(Reply(201))
        self.assertEqual(self.status(Reply(401, BEARER)), 401)

    def test_upload_refused(self) -> None:
        """When the upload is refused as well, the refusal of the mount counts."""
        second = Reply(401)
        answered = self.successResultOf(self.begin(Reply(403), second))
        self.assertEqual(answered.reply.status, 403)
        self.assertIsNotNone(answered.request.mount)
        self.assertTrue(second.is_aborted)

    def test_cannot_mount(self) -> None:
        """A registry that cannot mount should say 202; many say something else."""
        for status in (400, 403, 404, 405, 409, 422):
            refused = Reply(status)
            self.assertEqual(self.status(refused, Reply(202)), 202)
            self.assertEqual(self.forwarder.queries, [MOUNT, ""])
            self.assertTrue(refused.is_aborted)
        self.assertEqual(self.status(Reply(400), Reply(202), authorization=""), 202)

    def test_not_about_the_mount(self) -> None:
        """What an upload would be answered as well is not asked for twice."""
        for status in (307, 429, 500, 503):
            self.assertEqual(self.status(Reply(status)), status)
            self.assertEqual(self.forwarder.queries, [MOUNT])

    def test_no_credentials(self) -> None:
        """A client without credentials has its login to show first."""
        self.assertEqual(self.status(Reply(401, BEARER), authorization=""), 401)
        self.assertEqual(len(self.forwarder.queries), 1)

    def test_our_account(self) -> None:
        """Where our account may not pull, it is an upload at once."""
        self.assertEqual(self.status(Denied("no right"), Reply(202)), 202)
        self.assertEqual(self.forwarder.queries, [MOUNT, ""])

    def test_upload_fails(self) -> None:
        """A failure of the upload is the failure, and the refusal is given up."""
        refused = Reply(403)
        mounting = self.begin(refused, UpstreamUnavailable("down"))
        self.failureResultOf(mounting, UpstreamUnavailable)
        self.assertTrue(refused.is_aborted)
