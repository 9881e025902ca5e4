"""What is known of an upstream, by its ping and by every other challenge."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.challenges import Challenge, parse_challenges
from regbroker.protocol.origins import Origin
from regbroker.upstream.discovery import Discovery

ORIGIN = Origin("https", "up.test", 443)
REALM = "https://up.test/token"
TAGS = "/v2/acme/app/tags/list?n=1"


def challenges(*values: str) -> tuple[Challenge, ...]:
    """The challenges of an answer."""
    return parse_challenges(values)


BASIC = challenges('Basic realm="up"')
BEARER = challenges(f'Bearer realm="{REALM}",service="up"')
FOREIGN = challenges('Bearer realm="https://elsewhere.test/token"')


class DiscoveryTests(SynchronousTestCase):
    def make(self, **options: Any) -> Discovery:
        """Nothing is known yet."""
        return Discovery(ORIGIN, **options)

    def test_ping(self) -> None:
        """Most say everything there."""
        discovered = self.make().pinged(BEARER)
        self.assertEqual((str(discovered.realm), discovered.service), (REALM, "up"))
        self.assertEqual((discovered.challenges, discovered.proof), (BEARER, ""))
        discovered = self.make().pinged(BASIC)
        self.assertEqual((discovered.realm, discovered.proof), (None, "/v2/"))

    def test_repository(self) -> None:
        """A ping that passes leaves it to the repositories."""
        for told, realm, proof in ((BEARER, REALM, ""), (BASIC, "None", TAGS)):
            found = self.make()
            self.assertEqual(found.pinged(()).realm, None)
            discovered = found.challenged(told, TAGS, had_credentials=False)
            self.assertEqual((str(discovered.realm), discovered.proof), (realm, proof))
            # The ping is answered as the upstream answers it.
            self.assertEqual(discovered.challenges, ())
            # And the next ping takes nothing away.
            self.assertEqual(found.pinged(()), discovered)

    def test_ping_counts_more(self) -> None:
        """A repository that says something else does not change the rest."""
        found = self.make()
        discovered = found.pinged(BEARER)
        other = challenges('Bearer realm="https://up.test/other"')
        self.assertEqual(found.challenged(other, TAGS, False).realm, discovered.realm)

    def test_basic_for_a_good_token(self) -> None:
        """Harbor's is no reason to forget its token service."""
        found = self.make()
        found.pinged(())
        found.challenged(BEARER, TAGS, had_credentials=False)
        discovered = found.challenged(BASIC, TAGS, had_credentials=True)
        self.assertEqual(str(discovered.realm), REALM)

    def test_another_way_by_now(self) -> None:
        """Who asks for Basic without having been told anything means it."""
        found = self.make()
        found.pinged(())
        found.challenged(BEARER, TAGS, had_credentials=False)
        discovered = found.challenged(BASIC, TAGS, had_credentials=False)
        self.assertEqual((discovered.realm, discovered.proof), (None, TAGS))

    def test_foreign_realm(self) -> None:
        """It is believed from nobody, and displaces nothing."""
        found = self.make()
        found.pinged(())
        discovered = found.challenged(FOREIGN, TAGS, had_credentials=False)
        self.assertIsNone(discovered.realm)
        self.assertIn("token-hosts = elsewhere.test", discovered.problem)
        discovered = found.challenged(BEARER, TAGS, had_credentials=False)
        self.assertEqual((str(discovered.realm), discovered.problem), (REALM, ""))
        discovered = found.challenged(FOREIGN, TAGS, had_credentials=False)
        self.assertEqual((str(discovered.realm), discovered.problem), (REALM, ""))

    def test_written(self) -> None:
        """The configuration counts always, and clients are sent for tokens then."""
        for ping in ((), BASIC, FOREIGN):
            found = self.make(realm="https://login.test/t", service="s")
            discovered = found.pinged(ping)
            self.assertEqual(str(discovered.realm), "https://login.test/t")
            self.assertEqual((discovered.service, discovered.problem), ("s", ""))
            schemes = {challenge.scheme for challenge in discovered.challenges}
            self.assertIn("bearer", schemes)

    def test_nothing_told(self) -> None:
        """A 401 without a challenge changes nothing."""
        found = self.make()
        discovered = found.pinged(BASIC)
        self.assertEqual(found.challenged((), TAGS, False), discovered)
        negotiate = challenges("Negotiate")
        self.assertEqual(found.challenged(negotiate, TAGS, False), discovered)
