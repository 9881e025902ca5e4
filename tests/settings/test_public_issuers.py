"""Rights that every stranger's token fulfils."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.access_section import parse_subject
from regbroker.settings.public_issuers import audiences_of_others, open_to_everybody

GITHUB = "https://token.actions.githubusercontent.com"


class OpenTests(SynchronousTestCase):
    def said(self, issuer: str, conditions: str) -> str:
        return open_to_everybody(issuer, parse_subject(f"x[{conditions}]").conditions)

    def test_open(self) -> None:
        """What strangers can have in repositories of their own keeps nobody out."""
        for issuer, conditions, advice in (
            (GITHUB, "", "write a condition"),
            ("https://gitlab.com", "", "write a condition"),
            ("https://oidc.circleci.com/org/x", "", "write a condition"),
            (GITHUB, "ref=refs/heads/main", "such as repository_owner_id"),
            (GITHUB, "ref=refs/heads/main, environment=release", "repository_owner_id"),
            (GITHUB, "actor=alice", "repository_owner_id"),
            (GITHUB, "job_workflow_ref=acme/ci/*", "repository_owner_id"),
            (GITHUB, "repository=*", "repository_owner_id"),
            (GITHUB, "repository=acme/*|*/app", "repository_owner_id"),
            (GITHUB, "sub=repo:*:environment:release", "repository_owner_id"),
            ("https://gitlab.com", "ref_protected=true", "such as namespace_id"),
            ("https://accounts.google.com", "email_verified=true", "such as hd"),
        ):
            self.assertIn(advice, self.said(issuer, conditions), conditions)

    def test_closed(self) -> None:
        """What belongs to somebody keeps all others out."""
        for issuer, conditions in (
            (GITHUB, "repository_owner_id=65"),
            (GITHUB, "ref=refs/heads/main, repository=acme/app|acme/web"),
            (GITHUB, "repository=acme/*"),
            (GITHUB, "sub=repo:acme/*"),
            (GITHUB, "ref=refs/heads/main, release"),
            ("https://gitlab.com", "namespace_path=acme"),
            ("https://oidc.circleci.com/org/x", "sub=a"),
            ("https://gitlab.example.com", ""),
            ("https://gitlab.example.com", "ref=main"),
        ):
            self.assertEqual(self.said(issuer, conditions), "", conditions)


class AudienceTests(SynchronousTestCase):
    def test_others(self) -> None:
        """What other services take is told from a name of one's own."""
        issuer = "https://oidc.example.com/id/1"
        others = [
            issuer,
            "sigstore",
            "sts.amazonaws.com",
            "https://kubernetes.default.svc",
            "https://kubernetes.default.svc.cluster.local",
            "https://github.com/acme",
            "api://AzureADTokenExchange",
        ]
        own = ["registry.example.com", "https://registry.example.com", "sigstore.test"]
        self.assertEqual(audiences_of_others(issuer, [*own, *others]), others)
