"""What a client asks for under ``/v2``, as a value."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.broker.mounts import MountChallenges
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.web.api_request import ApiRequest
from tests.web.requests import MAPPING, asked

MANIFEST = "/v2/team/app/manifests/1"
UPLOADS = "/v2/team/app/blobs/uploads/"


def scopes(request: ApiRequest) -> str:
    """The scopes, as they are written."""
    return " ".join(map(str, request.scopes))


class ScopesTests(SynchronousTestCase):
    def test_public(self) -> None:
        """They have the public name: a client reads it."""
        self.assertEqual(scopes(asked("GET", MANIFEST)), "repository:team/app:pull")

    def test_as_written(self) -> None:
        """A client reads the name that it has written, whatever it is short for."""
        rules = NameMapping([parse_rule("* = *")], ["hub"], {"hub": "library"})
        request = asked("GET", "/v2/nginx/manifests/1", mapping=rules)
        self.assertEqual(scopes(request), "repository:nginx:pull")

    def test_catalog(self) -> None:
        """The catalog has a scope of its own, and the version check none."""
        self.assertEqual(scopes(asked("GET", "/v2/_catalog")), "registry:catalog:*")
        self.assertEqual(scopes(asked("GET", "/v2/")), "")

    def test_mount(self) -> None:
        """A mount needs to pull there, too, until it mounts nothing."""
        query = "mount=sha256:1&from=team/b"
        request = asked("POST", UPLOADS, query=query)
        mounting = request.mounting(MAPPING.route("team/b"), "team/b")
        push = "repository:team/app:pull,push"
        self.assertEqual(scopes(mounting), f"{push} repository:team/b:pull")
        self.assertEqual(str(mounting.query), "mount=sha256:1&from=acme_team/b")
        self.assertEqual(scopes(mounting.without_mount()), push)
        self.assertEqual(str(mounting.without_mount().query), "")
        # The values that the others were made of are what they were.
        self.assertEqual(str(request.query), query)
        self.assertIsNone(request.mount)

    def test_upload_given_up(self) -> None:
        """It is a part of a push."""
        request = asked("DELETE", f"{UPLOADS}id")
        self.assertEqual(scopes(request), "repository:team/app:pull,push")


class MountTests(SynchronousTestCase):
    def test_challenged_once(self) -> None:
        """The same client, blob and names are one mount; another client is another."""
        challenges = MountChallenges(lambda: 0.0)
        request = asked("POST", UPLOADS, query="mount=sha256:1&from=team/b")
        mounting = request.mounting(MAPPING.route("team/b"), "team/b")
        answers = []
        for user in ("alice", "alice", "bob", "", ""):
            mount = mounting.mounted_by(challenges, user, can_widen=True).mount
            assert mount is not None and mount.attempt is not None
            answers.append(mount.attempt.challenge())
        self.assertEqual(answers, [True, False, True, True, False])


class KindTests(SynchronousTestCase):
    def test_before_a_push(self) -> None:
        """A client that asks for the head of a blob may be about to push it."""
        blob = f"/v2/team/app/blobs/sha256:{'a' * 64}"
        for method, path, precedes in (
            ("HEAD", blob, True),
            ("GET", blob, False),
            ("HEAD", MANIFEST, False),
        ):
            self.assertEqual(asked(method, path).precedes_push, precedes)


class CredentialsTests(SynchronousTestCase):
    def test_basic(self) -> None:
        """User and password; none for what is damaged."""
        for text, basic in {
            "Basic Ym9iOmI=": ("bob", "b"),
            "Basic !": ("", ""),
            "Bearer abc": ("", ""),
            "": ("", ""),
        }.items():
            self.assertEqual(asked("GET", MANIFEST, text).basic, basic, text)
