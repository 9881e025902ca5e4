"""Rights that are not what their tests say."""

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.loading import warnings_about
from regbroker.assembly.rights_report import unmet_expectations
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config

CONFIG = """\
[registry registry.example.com]
upstream = up
namespaces =
    team = acme_team
    lib = mirror
accounts = staff, github
tests = {tests}
{registry}
[upstream up]
url = https://up.example.com
[accounts staff]
htpasswd = users
[access staff]
alice = team/**: pull, push
@ops = **: pull
anonymous = lib/**: pull, catalog
github[release] = team/**: pull
github[repository=acme/app] = team/app: push
@team:acme = lib/**: push
[identity github]
issuer = https://token.actions.githubusercontent.com
audience = registry.example.com
required-claims = repository_owner=acme
user = ci:${{repository}}
groups = team:${{repository_owner}}
conditions = release = claims.ref.startsWith('refs/tags/')
"""


class RightsReportTests(SynchronousTestCase):
    config_text = CONFIG

    def config(self, tests: str | None, registry: str = "") -> Config:
        """A configuration with a file of tests."""
        self.tests = Path(self.mktemp()).absolute()
        if tests is not None:
            self.tests.write_text(tests)
        text = self.config_text.format(tests=self.tests, registry=registry)
        return parse_config(text, PurePath("/"), lambda path: None)

    def said(self, tests: str | None, registry: str = "") -> list[str]:
        """What is said, without the beginning that all lines have."""
        beginning = "[registry registry.example.com] tests: {}"
        problems = list(unmet_expectations(self.config(tests, registry)))
        beginning = beginning.format(self.tests)
        self.assertTrue(all(line.startswith(beginning) for line in problems), problems)
        return [line.removeprefix(beginning) for line in problems]

    def test_as_meant(self) -> None:
        """Nothing is said where the rules do what is expected."""
        self.assertEqual(
            self.said(
                "alice pull,push team/app: allowed\n"
                "alice push lib/x: denied\n"
                "bob @ops pull team/app: allowed\n"
                "anonymous catalog lib/x: allowed\n"
                "authenticated pull team/app: denied\n"
                # What the upstream calls it.
                "alice push acme_team/app: allowed\n"
                "github{repository_owner=acme, release} pull team/app: allowed\n"
                "github{repository_owner=acme, ref=refs/heads/x} pull team/app: "
                "denied\n"
                "github{repository_owner=acme, repository=acme/app} push team/app: "
                "allowed\n"
                "github{repository_owner=acme, repository=acme/x} push team/app: "
                "denied\n"
                # The groups that the claims make.
                "github{repository_owner=acme} push lib/x: allowed\n"
                # No such token is taken, whatever everybody may.
                "github{repository_owner=evil} pull lib/x: denied\n"
            ),
            [],
        )

    def test_not_as_meant(self) -> None:
        """The place, what was expected, and the rule that decides."""
        self.assertEqual(
            self.said(
                "# first\n"
                "anonymous pull lib/x: denied\n"
                "bob @dev push team/app: allowed\n"
                "github{repository_owner=acme, ref=main} pull team/app: allowed\n"
                "github{repository=acme/app} push team/app: allowed\n"
                "gitlab{} pull team/app: denied\n"
            ),
            [
                ":2: anonymous may pull lib/x, and denied is expected: [access staff] "
                "anonymous = lib/**: pull, catalog",
                ":3: bob @dev may not push team/app, and allowed is expected: no line "
                "of [access staff] grants it; those who may: alice, "
                "github[repository=acme/app]",
                ":4: github{repository_owner=acme, ref=main} may not pull team/app, "
                "and allowed is expected: no line of [access staff] grants it; those "
                "who may: alice, @ops, github[release]",
                ":5: github{repository=acme/app} may not push team/app, and allowed is "
                "expected: [identity github] required-claims: not "
                "repository_owner=acme",
                ":6: [identity gitlab] is none of this registry's; there are: github",
            ],
        )

    def test_read_only(self) -> None:
        """What nobody may, whatever the rules say, is denied."""
        self.assertEqual(
            self.said(
                "alice push team/app: allowed\nalice pull team/app: allowed\n",
                "writes = deny",
            ),
            [":1: alice may not push team/app, and allowed is expected: writes = deny"],
        )

    def test_conditions_hold_by_themselves(self) -> None:
        """A condition that the claims fulfil holds, as it does when they are shown."""
        plain = "github{repository_owner=acme, ref=refs/tags/1}"
        self.assertEqual(
            self.said(
                f"{plain} pull team/app: denied\n{plain} pull team/x: allowed\n"
                "github{repository_owner=acme, ref=refs/heads/x} pull team/x: denied\n"
            ),
            [
                f":1: {plain} may pull team/app, and denied is expected: [access "
                "staff] github[release] = team/**: pull"
            ],
        )

    def test_untold(self) -> None:
        """A condition that decides, and cannot be worked out, is a mistake."""
        beginning = "whether release of [identity github] holds cannot be told from"
        for claims, why in (
            ("", "'ref' is missing"),
            (", ref=refs/tags/1|refs/heads/x", "a claim is missing, or of another "),
        ):
            for verdict in ("denied", "allowed"):
                line = f"github{{repository_owner=acme{claims}}} pull team/x: {verdict}"
                (problem,) = self.said(line)
                expected = f":1: {beginning} these claims: {why}"
                self.assertTrue(problem.startswith(expected), problem)
        self.assertTrue(problem.endswith("looks at, or its name if it holds"))
        # With the name it holds, and where it does not decide, nothing is said.
        self.assertEqual(
            self.said(
                "github{repository_owner=acme, release} pull team/x: allowed\n"
                "github{repository_owner=acme} push team/x: denied\n"
                "github{repository_owner=acme} push lib/x: allowed\n"
                "github{repository_owner=evil} pull team/x: denied\n"
            ),
            [],
        )

    def test_contradiction(self) -> None:
        """A condition that is said to hold, and does not, is a mistake of the line."""
        self.assertEqual(
            self.said(
                "github{repository_owner=acme, ref=main, release} pull team/x: "
                "allowed\n"
                "github{repository_owner=acme, ref=refs/tags/1, release} pull team/x: "
                "allowed\n"
            ),
            [
                ":1: release of [identity github] does not hold for these claims: "
                "claims.ref.startsWith('refs/tags/')"
            ],
        )

    def test_untold_and_read_only(self) -> None:
        """What nobody may, whatever holds, is denied."""
        push = "github[release] = team/**: pull, push"
        self.config_text = CONFIG.replace("github[release] = team/**: pull", push)
        line = "github{repository_owner=acme} push team/x: denied\n"
        self.assertEqual(len(self.said(line)), 1)
        self.assertEqual(self.said(line, "writes = deny"), [])

    def test_what_no_login_has(self) -> None:
        """A test about somebody who never logs in would never fail."""
        self.assertEqual(
            self.said(
                "github{repository_owner=acme, relase} pull team/app: denied\n"
                "github{repository_owner=acme} @ops pull team/app: allowed\n"
                "github{repository_owner=acme} @team:x push team/app: denied\n"
                "ci:acme/app pull lib/x: allowed\n"
                "github{repository_owner=acme, iss=https://x.test} pull lib/x: denied\n"
            ),
            [
                ":1: [identity github] has no condition 'relase'; there are: release",
                ":2: [identity github] makes no group 'ops'; its groups are: "
                "team:${repository_owner}",
                ":4: 'ci:acme/app' is a name that [identity github] alone gives; "
                "nobody else may have it; write the claims instead, as "
                "NAME{repository=acme/app}",
            ],
        )

    def test_no_catalog(self) -> None:
        """Where there is no catalog, nobody lists it."""
        self.assertEqual(
            self.said("anonymous catalog lib/x: allowed\n", "catalog = deny"),
            [
                ":1: anonymous may not catalog lib/x, and allowed is expected: "
                "catalog = deny"
            ],
        )

    def test_no_such_name(self) -> None:
        """A name that is not served is a mistake of the test."""
        (problem,) = self.said("alice pull other/app: denied\n")
        self.assertTrue(problem.startswith(":1: 'other/app': "), problem)

    def test_wrong_line(self) -> None:
        """A line that nobody understands fails as well."""
        (problem,) = self.said("alice may pull\n")
        self.assertTrue(problem.startswith(":1: the line ends in "), problem)

    def test_file(self) -> None:
        """A file that cannot be read tests nothing, and says so."""
        self.assertEqual(self.said(None), [": No such file or directory"])
        config = self.config("")
        self.tests.write_bytes(b"\xff\xfe")
        (problem,) = unmet_expectations(config)
        self.assertIn("not UTF-8", problem)

    def test_byte_order_mark(self) -> None:
        """What editors write before the first line is no part of a subject."""
        said = self.said("\ufeffalice push team/app: allowed\r\n\r\n# a comment\r\n")
        self.assertEqual(said, [])
        (problem,) = self.said("\ufeffalice push team/app: denied\r\n")
        self.assertIn(":1: alice may push team/app", problem)

    def test_start(self) -> None:
        """A service that starts warns, since the rules are what is served."""
        config = self.config("anonymous pull lib/x: denied\n")
        self.assertEqual(
            [w for w in warnings_about(config) if "tests: " in w],
            list(unmet_expectations(config)),
        )
        self.assertFalse(
            [w for w in warnings_about(config, rights=False) if "tests" in w]
        )

    def test_upstream_decides(self) -> None:
        """Where there are no rules there is nothing to test, and a warning."""
        self.tests = Path(self.mktemp()).absolute()
        text = CONFIG.format(tests=self.tests, registry="")
        text = text.replace("accounts = staff, github", "accounts = upstream")
        config = parse_config(text, PurePath("/"), lambda path: None)
        self.assertEqual(list(unmet_expectations(config)), [])
        self.assertTrue(
            any("tests: needs 'accounts = NAME'" in w for w in warnings_about(config))
        )
