"""Where a name leads and who may do what, as a value."""

from __future__ import annotations

from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.principals import Account
from regbroker.cli.explanation import Explanation, explain_question
from regbroker.cli.questions import parse_question
from regbroker.errors import HostUnknown, NameUnknown
from regbroker.protocol.names import Action
from regbroker.settings.ini import parse_config

OWN = """
[registry a.test]
upstream = up
namespaces = team = acme_team
accounts = staff
{more}
[upstream up]
url = https://up.test/base
[accounts staff]
htpasswd = users
[access staff]
alice = team/**: pull, push
@guests = team/open/*: pull
anonymous = team/open/**: pull
"""

UPSTREAM = """
[registry a.test]
upstream = up, other
namespaces = * = acme_*
anonymous = shared
{more}
[upstream up]
url = https://up.test
[upstream other]
url = https://other.test
username = u
password-env = HOME
"""


class ExplanationTests(SynchronousTestCase):
    def explained(
        self,
        template: str,
        text: str,
        user: str = "",
        action: Action | None = None,
        more: str = "",
        groups: tuple[str, ...] = (),
    ) -> Explanation:
        """The explanation of one question."""
        config = parse_config(
            template.format(more=more), PurePath("/"), lambda path: None
        )
        (question,) = parse_question(text)
        account = Account(user, frozenset(groups)) if user else None
        return explain_question(config, question, account=account, action=action)

    def test_right(self) -> None:
        """Section, names, scopes, and the lines that give the rights."""
        found = self.explained(OWN, "a.test/team/app:1", "alice", Action.PUSH)
        self.assertEqual(found.scope, "repository:team/app:pull,push")
        self.assertEqual(found.upstream_scopes, ("repository:acme_team/app:pull,push",))
        self.assertEqual(
            [(right.action, right.allowed, right.why) for right in found.rights],
            [
                ("pull", True, "[access staff] alice = team/**: pull, push"),
                ("push", True, "[access staff] alice = team/**: pull, push"),
            ],
        )
        self.assertEqual(
            (found.answer, found.refused), ("what the upstream answers", False)
        )

    def test_no_right(self) -> None:
        """Why not, who may, and what the client is told."""
        found = self.explained(OWN, "a.test/team/app", "bob", Action.PUSH)
        self.assertTrue(found.refused)
        self.assertEqual(
            found.rights[1].why,
            "no line of [access staff] grants it; those who may: alice",
        )
        self.assertIn("401 UNAUTHORIZED: the token that bob gets is ", found.answer)
        self.assertIn('error="insufficient_scope"', found.answer)
        found = self.explained(
            OWN, "a.test/team/app", "bob", Action.PUSH, "challenge = basic"
        )
        self.assertEqual(found.answer, "403 DENIED: bob may not push here")

    def test_nobody_and_groups(self) -> None:
        """Somebody without a login, and a group's line."""
        found = self.explained(OWN, "a.test/team/open/app")
        self.assertFalse(found.refused)
        self.assertIn("anonymous = team/open/**: pull", found.rights[0].why)
        found = self.explained(OWN, "a.test/team/app")
        self.assertIn('to log in: Bearer realm="https://a.test/auth"', found.answer)
        self.assertTrue(found.refused)

    def test_delete(self) -> None:
        """Nobody has the right; a read-only registry says so before all else."""
        found = self.explained(OWN, "a.test/team/app", "alice", Action.DELETE)
        self.assertEqual([right.action for right in found.rights], ["delete"])
        self.assertTrue(found.refused)
        found = self.explained(
            OWN, "repository:team/app:pull,push", "alice", more="writes = deny"
        )
        self.assertEqual(found.answer, "405 UNSUPPORTED: this registry is read-only")

    def test_upstream_decides(self) -> None:
        """Whose account counts where the upstream's do."""
        found = self.explained(UPSTREAM, "a.test/team/app", "alice")
        self.assertEqual(
            found.decided_by,
            "[upstream up] decides, by the client's own account; regbroker's own "
            "account is shared for pull",
        )
        self.assertEqual(len(found.routes), 2)
        found = self.explained(UPSTREAM, "a.test/team/app")
        self.assertIn("nobody's account", found.decided_by)

    def test_names_of_upstreams(self) -> None:
        """A name as an upstream has it is told by ours."""
        found = self.explained(OWN, "https://up.test/v2/acme_team/app/manifests/1")
        self.assertEqual(found.routes[0].public_name, "team/app")
        (note,) = found.notes
        self.assertIn("clients write a.test/team/app", note)
        found = self.explained(OWN, "up.test/base/acme_team/app")
        self.assertEqual(found.routes[0].public_name, "team/app")

    def test_host_alone(self) -> None:
        """A host without a name is a repository, and that is said."""
        self.assertEqual(
            self.explained(UPSTREAM, "a.test").notes,
            (
                "a.test is read as a repository; for one of that host, write "
                "a.test/NAME",
            ),
        )
        self.assertEqual(self.explained(UPSTREAM, "b.test").notes, ())

    def test_not_served(self) -> None:
        """Hosts and names that are not served."""
        with self.assertRaises(HostUnknown) as caught:
            self.explained(OWN, "b.test/team/app")
        self.assertEqual(
            caught.exception.message,
            "b.test: no [registry b.test] section; there are: a.test",
        )
        with self.assertRaises(NameUnknown):
            self.explained(OWN, "a.test/other/app")
        with self.assertRaises(HostUnknown):
            self.explained(OWN, "up.test/nobody/app")

    def test_document(self) -> None:
        """The same for programs."""
        document = self.explained(OWN, "a.test/team/app", "bob").document()
        self.assertEqual(document["registry"], "a.test")
        self.assertEqual(document["routes"][0]["rule"], "team = acme_team")
        self.assertEqual(document["routes"][0]["url"], "https://up.test/base")
        self.assertEqual([r["allowed"] for r in document["rights"]], [False])
