"""Authorization as a value, and the refusals that it meets."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.challenges import parse_challenges
from regbroker.protocol.scopes import Scope, parse_scopes
from regbroker.upstream.authorization import Authorization, Refusal, wider_scopes
from regbroker.upstream.policy import CredentialOwner

(PULL,) = parse_scopes(["repository:a/b:pull"])


class AuthorizationTests(SynchronousTestCase):
    def test_owner(self) -> None:
        """A refusal of what a client brought is the client's."""
        ours = {
            owner: Authorization(owner, "x").owner.is_ours for owner in CredentialOwner
        }
        self.assertEqual(
            ours,
            {
                CredentialOwner.CLIENT: False,
                CredentialOwner.OURS: True,
                CredentialOwner.NOBODY: True,
            },
        )

    def test_secret(self) -> None:
        """The value is not shown."""
        shown = repr(Authorization(CredentialOwner.CLIENT, "Bearer open-sesame"))
        self.assertNotIn("sesame", shown)


class RefusalTests(SynchronousTestCase):
    def test_expired(self) -> None:
        """A login that has run out is 403 with a word for it, and nothing else is."""
        text = "Your authorization token has Expired."
        self.assertTrue(Refusal(403, text=text).says_expired)
        self.assertFalse(Refusal(401, text=text).says_expired)
        self.assertFalse(Refusal(403, text="denied").says_expired)


class WiderScopesTests(SynchronousTestCase):
    def wider(self, scope: str, *scopes: Scope) -> tuple[str, ...]:
        """Scopes, made wider by a challenge."""
        text = f'Bearer realm="https://auth.test/t",scope="{scope}"'
        return tuple(map(str, wider_scopes(scopes, parse_challenges([text]))))

    def test_more(self) -> None:
        """Actions that are missing for the same repository come behind, once each."""
        self.assertEqual(
            self.wider("repository:a/b:pull,push,delete,push", PULL),
            ("repository:a/b:pull,push,delete",),
        )

    def test_same(self) -> None:
        """What is asked for already, and other names and types, add nothing."""
        for scope in ("repository:a/b:pull", "repository:a:push", "registry:a/b:push"):
            self.assertEqual(self.wider(scope, PULL), (str(PULL),))

    def test_no_bearer(self) -> None:
        """Without a Bearer challenge they stay as they are."""
        for challenges in ([], ['Basic realm="x"']):
            self.assertEqual(
                wider_scopes((PULL,), parse_challenges(challenges)), (PULL,)
            )
