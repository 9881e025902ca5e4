"""Sections that say who may come in, and what for; more in `test_sections`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.settings.test_ini import parse, problems

TEXT = """
    [registry *]
    upstream = up
    accounts = staff, github
    namespaces = * = *
    [upstream up]
    url = https://up.test
    [accounts staff]
    htpasswd = file
    [identity github]
    issuer = https://github.test
    audience = registry.test
    [access staff]
    alice = team/**: pull
    github[repository_owner=acme, ref=refs/heads/main] = acme/${repository}: push
"""


class IdentityTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A registry with passwords and an issuer."""
        config = parse(TEXT)
        (registry,) = config.registries
        self.assertEqual(registry.accounts, "staff")
        self.assertEqual(registry.identities, ("github",))
        self.assertEqual(str(config.identities["github"].user), "github:${sub}")
        assert registry.access is not None
        self.assertEqual(registry.access.identities, {"github"})
        self.assertTrue(config.signs_tokens)

    def test_alone(self) -> None:
        """A registry with an issuer and no passwords."""
        text = TEXT.replace("staff, github", "github").replace(
            "[access staff]", "[access github]"
        )
        text = text.replace("    [accounts staff]\n    htpasswd = file\n", "")
        (registry,) = parse(text).registries
        self.assertEqual((registry.accounts, registry.identities), ("", ("github",)))
        self.assertIsNotNone(registry.access)

    def test_wrong(self) -> None:
        """What is missing, or not known, is named."""
        for old, new, problem in (
            (
                "    audience = registry.test\n",
                "",
                "[identity github] audience: missing",
            ),
            (
                "    issuer = https://github.test\n",
                "",
                "[identity github] issuer: missing",
            ),
            ("github[repo", "gitlab[repo", "there is no [identity gitlab] section"),
            ("alice = team/**", "alice = ${repository}", "only an identity has claims"),
            ("[identity github]", "[identity a b]", "the name may have letters"),
            ("registry.test\n", "registry.test\n    colour = x\n", "unknown option"),
            (
                "registry.test\n",
                "registry.test\n    proxy-credentials-file = x\n",
                "[identity github] proxy: missing",
            ),
        ):
            found = problems(TEXT.replace(old, new))
            self.assertTrue(any(problem in each for each in found), (new, found))

    def test_no_effect(self) -> None:
        """Beside a file with the keys nothing is fetched."""
        text = TEXT.replace(
            "    audience", "    jwks = keys.json\n    ca-file = ca.pem\n    audience"
        )
        (warning,) = parse(text).file_warnings
        self.assertIn("[identity github] ca-file: has no effect", warning)
