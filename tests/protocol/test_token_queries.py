"""What goes to an upstream's token service; more in `test_token_exchange`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.token_exchange import TokenRequest
from regbroker.protocol.token_queries import get_query, post_form


class SubjectTokenTests(SynchronousTestCase):
    def test_kept_here(self) -> None:
        """A token that is to be exchanged here is no part of what goes up."""
        request = TokenRequest("POST", subject_token="eyJ.secret.x")
        self.assertNotIn("secret", get_query(request, "up", ()))
        self.assertNotIn("secret", post_form(request, "up", ()))
