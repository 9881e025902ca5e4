"""What is said in vain about identities."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.settings.test_account_sections import TEXT
from tests.settings.test_ini import warned


class WarningTests(SynchronousTestCase):
    def warned(self, subject: str = "", options: str = "", old: str = "") -> list[str]:
        """The warnings with another subject, and more options of the identity."""
        text = TEXT.replace(
            "github[repository_owner=acme, ref=refs/heads/main]",
            subject or "github[repository_owner=acme]",
        )
        text = text.replace("    [access staff]", f"    {options}\n    [access staff]")
        return warned(text.replace(old, "") if old else text)

    def test_nothing(self) -> None:
        """What can be true is not warned of."""
        self.assertEqual(self.warned(), [])
        for subject, options in (
            ("github[]", ""),
            ("github[iss=https://*]", ""),
            ("github[release]", "conditions = release = true"),
            ("github[sub=a*]", "required-claims = sub=ab|b"),
            ("github[groups=a]", "required-claims = groups=b"),
            ("github[sub=a]", "required-claims = sub=*"),
        ):
            self.assertEqual(self.warned(subject, options), [], subject)

    def test_never(self) -> None:
        """Conditions that never hold are named, with the reason."""
        for subject, options, reason in (
            ("github[iss=https://other.test]", "", "iss is https://github.test"),
            ("github[release]", "", "[identity github] has no such condition"),
            ("github[sub=a]", "required-claims = sub=b|c", "requires sub=b|c"),
        ):
            (warning,) = self.warned(subject, options)
            self.assertIn(f"[access staff] {subject}: ", warning)
            self.assertIn("never holds", warning)
            self.assertIn(reason, warning)

    def test_unused(self) -> None:
        """A section that no registry names, and rights of nobody there."""
        unused, nobody = self.warned(old=", github")
        self.assertIn("[identity github]: no [registry HOST] uses it", unused)
        self.assertIn("has github in accounts", nobody)

    def test_public(self) -> None:
        """Rights for everybody in the world are warned of."""
        text = TEXT.replace("https://github.test", "https://gitlab.com").replace(
            "github[repository_owner=acme, ref=refs/heads/main]", "github[]"
        )
        (warning,) = warned(text)
        self.assertIn("everybody can have a token of this issuer", warning)

    def test_audience(self) -> None:
        """An audience that other services take is warned of."""
        text = TEXT.replace(
            "audience = registry.test", "audience = registry.test sigstore"
        )
        (warning,) = warned(text)
        self.assertIn("[identity github] audience: 'sigstore' is what other", warning)

    def test_groups(self) -> None:
        """An identity may have groups."""
        text = TEXT.replace("alice =", "@team:a =")
        (warning,) = warned(text)
        self.assertIn("none of these accounts has groups", warning)
        groups = "audience = registry.test\n    groups = team:${groups}"
        self.assertEqual(warned(text.replace("audience = registry.test", groups)), [])
