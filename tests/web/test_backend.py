"""One upstream of a registry: whose account it sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.composite_token import CompositeTokens
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.runtime.keyed_hash import KeyedHash
from regbroker.upstream.policy import CLIENTS_OWN, OURS, Policy
from regbroker.web.api_request import ApiRequest
from regbroker.web.backend import Backend
from regbroker.web.exchange import Exchange
from tests.web.requests import asked

MANIFEST = "/v2/team/app/manifests/1"
SHARING = Policy(clients=True, shared=frozenset({"pull"}))


class NamedUpstream:
    """An upstream of which only the name counts."""

    name = "up"


def backend(policy: Policy, follower: Any = None) -> Backend:
    """A backend of which nothing is asked."""
    upstream: Any = NamedUpstream()
    unused: Any = None
    return Backend(upstream, unused, unused, follower, policy)


def with_user(request: ApiRequest, user: str | None) -> ApiRequest:
    """The request, as the gate has let it in."""
    return ApiRequest(
        request.client,
        request.event,
        request.target,
        request.query,
        token_user=user,
    )


def with_header(name: bytes, value: bytes) -> ApiRequest:
    """A request with a header, and without Authorization."""
    request = asked("GET", MANIFEST)
    headers = ReceivedHeaders([(name, value)])
    return replace(request, client=replace(request.client, headers=headers))


class AccountTests(SynchronousTestCase):
    def test_nobody(self) -> None:
        """Who brings nothing is nobody, or has our account where it is shared."""
        request = asked("GET", MANIFEST)
        self.assertEqual(backend(CLIENTS_OWN).account(request), "")
        self.assertEqual(backend(SHARING).account(request), "ours")

    def test_ours(self) -> None:
        """Where clients have no accounts, all are ours, whatever they bring."""
        request = asked("GET", MANIFEST, "Bearer x")
        self.assertEqual(backend(OURS).account(request), "ours")

    def test_known_user(self) -> None:
        """All tokens of one user are one account; a token of nobody's is nobody's."""
        for user, account in (("alice", "user alice"), ("", "")):
            for token in ("x", "y"):
                request = with_user(asked("GET", MANIFEST, f"Bearer {token}"), user)
                self.assertEqual(backend(CLIENTS_OWN).account(request), account)

    def test_unknown_user(self) -> None:
        """What nobody has looked at stands for itself alone, and is not shown."""
        for user in (None, "-"):
            accounts = set()
            for text in ("Bearer s3cret", "Bearer other", "Basic Ym9iOmI="):
                request = with_user(asked("GET", MANIFEST, text), user)
                accounts.add(backend(CLIENTS_OWN).account(request))
            self.assertEqual(len(accounts), 3)
            self.assertNotIn("s3cret", " ".join(accounts))

    def test_other_credentials(self) -> None:
        """What a registry has a name of its own for is hashed with that name."""
        accounts = {
            backend(CLIENTS_OWN).account(with_header(name, value))
            for name, value in (
                (b"private-token", b"s3cret"),
                (b"private-token", b"other"),
                (b"x-jfrog-art-api", b"s3cret"),
            )
        }
        self.assertEqual(len(accounts), 3)
        self.assertNotIn("s3cret", " ".join(accounts))

    def test_keyed(self) -> None:
        """All registries know an account by one keyed hash of 32 bytes."""
        request = asked("GET", MANIFEST, "Bearer s3cret")
        account = backend(CLIENTS_OWN).account(request)
        self.assertEqual(account, backend(CLIENTS_OWN).account(request))
        self.assertRegex(account, "^hash [0-9a-f]{64}$")
        self.assertNotIn(KeyedHash().digest("s3cret").hex(), account)

    def test_composite(self) -> None:
        """Of a composite token, the upstream's own token counts."""
        accounts = set()
        for other in ("x", "y"):
            tokens = CompositeTokens(b"key", lambda: 0.0)
            token = tokens.write({"up": "mine", "other": other})
            request = asked("GET", MANIFEST, f"Bearer {token}")
            accounts.add(backend(CLIENTS_OWN).account(request))
        self.assertEqual(len(accounts), 1)


class RedirectTests(SynchronousTestCase):
    def test_passed_on(self) -> None:
        """Without a follower, a reply goes on as it is."""
        exchange: Any = object()
        following = Deferred.fromCoroutine(backend(OURS).followed(exchange))
        self.assertIs(self.successResultOf(following), exchange)

    def test_followed(self) -> None:
        """With one, what it leads to goes on."""
        led_to: Any = object()

        class Follower:
            async def follow(self, exchange: Exchange) -> Any:
                return led_to

        exchange: Any = object()
        following = backend(OURS, Follower()).followed(exchange)
        self.assertIs(self.successResultOf(Deferred.fromCoroutine(following)), led_to)
