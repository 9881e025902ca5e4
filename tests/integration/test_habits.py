"""Registries with habits of their own, real contents behind them, real clients."""

from __future__ import annotations

from tests.habits import (
    ACR,
    ECR,
    HARBOR,
    NEXUS,
    NEXUS_TOKENS,
    QUAY,
    REDIRECTING,
    Habit,
    Manners,
)

from .accounts_case import PASSWORDS, UPSTREAM, AccountsTestCase
from .peers.moody import Moody

REGISTRY = """\
[registry localhost]
upstream = up
namespaces =
    team = acme_team
{registry}
"""

ROBOT_PASSWORD = "the robot's"


class HabitsTestCase(AccountsTestCase):
    """A registry with one image, behind a front with manners."""

    def setUp(self) -> None:
        super().setUp()
        self.start_registry()
        self.image = self.make_image()
        self.put_upstream(self.image, "acme_team/app:1", "acme_team/secret:1")
        self.front = Moody(self.authority, self.registry.port)
        self.addCleanup(self.front.stop)
        self.password_file = self.directory / "robot"
        self.password_file.write_text(ROBOT_PASSWORD)
        self.password_file.chmod(0o600)
        self.add_secret(ROBOT_PASSWORD)

    def serve(self, habit: Habit, registry: str = "", upstream: str = "") -> None:
        """Start regbroker in front of a registry with this habit."""
        self.manners = self.front.manners = Manners(
            habit,
            self.front.url,
            {"alice": PASSWORDS["alice"], "robot": ROBOT_PASSWORD},
            {"alice": {"acme_team/app"}, "robot": {"acme_team/app"}},
        )
        upstream += f"\nca-file = {self.ca_file}"
        sections = REGISTRY.format(registry=registry) + UPSTREAM.format(
            url=self.front.url, upstream=upstream
        )
        self.use(self.start_local(sections, habit.name))
        self.app = f"{self.host}/team/app:1"
        self.secret = f"{self.host}/team/secret:1"

    def serve_own(self, habit: Habit, shared: str = "shared") -> None:
        """The same, with our account, lent to whoever comes."""
        own = f"username = robot\npassword-file = {self.password_file}"
        self.serve(habit, f"anonymous = {shared}", own)


class ContainerdTests(HabitsTestCase):
    """It goes by what the repository says, and never pings."""

    def test_repositories_that_ask(self) -> None:
        """A ping that lets everybody in does not keep it from logging in."""
        containerd = self.start_containerd()
        for habit in (NEXUS_TOKENS, NEXUS):
            self.serve(habit)
            containerd.trust(self.host)
            self.assert_refused(containerd.pull(self.app), "401|authorization")
            alice = f"alice:{PASSWORDS['alice']}"
            self.assert_done(containerd.pull(self.app, "--user", alice))
            self.assertEqual(containerd.digest_of(self.app), self.image.digest)
            self.assertEqual(self.manners.wrong, 0)

    def test_with_our_account(self) -> None:
        """Nobody has to log in where our account is shared."""
        containerd = self.start_containerd()
        for habit in (NEXUS_TOKENS, NEXUS, HARBOR, ECR):
            self.serve_own(habit)
            containerd.trust(self.host)
            self.assert_done(containerd.pull(self.app))
            self.assertEqual(containerd.digest_of(self.app), self.image.digest)
            refused = containerd.pull(self.secret)
            self.assert_refused(refused, "403|not authorized|denied")
            self.assertEqual(self.manners.wrong, 0)


class SkopeoTests(HabitsTestCase):
    """It goes by the ping, and then by the repository."""

    def test_repositories_that_ask(self) -> None:
        """With a realm that is written, the ping asks, and the login is used."""
        realm = f"realm = {self.front.url}/token"
        self.serve(NEXUS_TOKENS, upstream=realm)
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assertEqual(skopeo.digest_of(self.app), self.image.digest)

    def test_with_our_account(self) -> None:
        """Which is learnt to be needed from the repository."""
        for habit in (NEXUS_TOKENS, NEXUS, ACR, QUAY):
            self.serve_own(habit)
            skopeo = self.make_skopeo(habit.name + "-client")
            self.assertEqual(skopeo.digest_of(self.app), self.image.digest)
            tags = skopeo.list_tags(f"{self.host}/team/app")
            self.assertIn('"1"', self.assert_done(tags).stdout)
            self.assertEqual(self.manners.wrong, 0)

    def test_expired(self) -> None:
        """A push and a pull go on over the end of a login."""
        self.serve_own(ECR, "shared: pull, push")
        skopeo = self.make_skopeo()
        self.assertEqual(skopeo.digest_of(self.app), self.image.digest)
        self.manners.expired.add(ROBOT_PASSWORD)
        self.manners.users["robot"] = "the next one"
        self.password_file.write_text("the next one")
        pushed = skopeo.push(self.make_image("next").source, self.app)
        self.assert_done(pushed)
        self.assertLessEqual(self.manners.wrong, 1)

    def test_right_granted(self) -> None:
        """It counts at once, though a token without it was given a moment ago."""
        self.serve(HARBOR)
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assertEqual(skopeo.digest_of(self.secret), "")
        self.manners.rights["alice"].add("acme_team/secret")
        self.assertEqual(skopeo.digest_of(self.secret), self.image.digest)

    def test_redirected_token_service(self) -> None:
        """It is followed where the redirect stays on its origin."""
        self.serve(REDIRECTING)
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assertEqual(skopeo.digest_of(self.app), self.image.digest)
