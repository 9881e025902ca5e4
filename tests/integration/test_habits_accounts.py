"""
Real clients in front of registries with habits: pushes with their own accounts, and
with accounts of ours in front; passwords that are wrong, and keys of many lines.
"""

from __future__ import annotations

from tests.habits import (
    DISTRIBUTION,
    ECR,
    GOOGLE,
    HARBOR,
    HUB,
    NEXUS,
    NEXUS_TOKENS,
    QUAY,
    ZOT,
    ZOT_OPEN,
    Habit,
    Manners,
)

from .accounts_case import ACCOUNTS, PASSWORDS, UPSTREAM
from .test_habits import ROBOT_PASSWORD, HabitsTestCase

REGISTRY = """\
[registry localhost]
upstream = up
accounts = staff
namespaces = team = acme_team

"""

RIGHTS = """\
alice = team/**: pull, push
bob = team/app: pull
"""

KEY_FILE = '{\n  "type": "service_account",\n  "private_key": "-----BEGIN\\nx"\n}\n'

#: What clients may be told of a right that is lacking.
NO_RIGHT = "403|401|denied|unauthorized|authorization|authentication required"


class FrontTestCase(HabitsTestCase):
    """Accounts of ours in front; `robot` is who we are upstream."""

    def serve_front(self, habit: Habit, user: str = "robot") -> None:
        """Start regbroker with accounts of its own before such a registry."""
        password = self.password_file.read_text().removesuffix("\n")
        self.manners = self.front.manners = Manners(
            habit,
            self.front.url,
            {user: password},
            {user: {"acme_team/app"}},
        )
        upstream = (
            f"username = {user}\npassword-file = {self.password_file}\n"
            f"ca-file = {self.ca_file}"
        )
        sections = (
            REGISTRY
            + UPSTREAM.format(url=self.front.url, upstream=upstream)
            + ACCOUNTS.format(htpasswd=self.htpasswd.path, rights=RIGHTS)
        )
        self.use(self.start_local(sections, f"{habit.name}-front"))
        self.app = f"{self.host}/team/app:1"
        self.secret = f"{self.host}/team/secret:1"


class ContainerdTests(FrontTestCase):
    def user(self, name: str) -> tuple[str, str]:
        """ctr's options for a user."""
        return "--user", f"{name}:{PASSWORDS[name]}"

    def test_push_with_the_clients_account(self) -> None:
        """Where the ping passes, pushes log in at the repository."""
        containerd = self.start_containerd()
        image = self.make_image("pushed")
        local = self.import_image(containerd, image)
        realm = f"realm = {self.front.url}/token"
        for habit, upstream in (
            (NEXUS_TOKENS, ""),
            (NEXUS_TOKENS, realm),
            (NEXUS, ""),
            (ZOT_OPEN, ""),
            (ZOT, ""),
            (HUB, ""),
        ):
            name = habit.name + ("-written" if upstream else "")
            self.serve(
                Habit(**{**vars(habit), "name": name}), "accounts = upstream", upstream
            )
            containerd.trust(self.host)
            target = f"{self.host}/team/app:{name}"
            refused = containerd.push(target, local)
            self.assert_refused(refused, NO_RIGHT)
            self.assert_done(containerd.push(target, local, *self.user("alice")))
            self.assert_done(containerd.pull(target, *self.user("alice")))
            self.assertEqual(containerd.digest_of(target), image.digest, name)
            self.assertEqual(self.manners.wrong, 0, name)

    def test_what_everybody_may_read(self) -> None:
        """Anonymous reading stays what it is, and a push to the same logs in."""
        containerd = self.start_containerd()
        local = self.import_image(containerd, self.make_image("pushed"))
        for habit in (NEXUS_TOKENS, NEXUS):
            self.serve(habit, "accounts = upstream")
            self.manners.rights[""] = {"acme_team/app"}
            containerd.trust(self.host)
            self.assert_done(containerd.pull(self.app))
            self.assertEqual(self.manners.shown, [])
            target = f"{self.host}/team/app:{habit.name}"
            self.assert_done(containerd.push(target, local, *self.user("alice")))
            self.assertEqual(self.manners.wrong, 0, habit.name)

    def test_accounts_in_front(self) -> None:
        """Ours in front, the registry's habit behind: push, pull and no right."""
        containerd = self.start_containerd()
        image = self.make_image("pushed")
        local = self.import_image(containerd, image)
        for habit in (NEXUS_TOKENS, NEXUS, HARBOR, QUAY, ECR):
            self.serve_front(habit)
            containerd.trust(self.host)
            target = f"{self.host}/team/app:{habit.name}"
            self.assert_done(containerd.push(target, local, *self.user("alice")))
            self.assert_done(containerd.pull(target, *self.user("bob")))
            self.assertEqual(containerd.digest_of(target), image.digest)
            refused = containerd.pull(self.secret, *self.user("alice"))
            self.assert_refused(refused, NO_RIGHT)
            self.assertEqual(self.manners.wrong, 0, habit.name)

    def test_wrong_password(self) -> None:
        """However a client tries again, ours is shown once."""
        containerd = self.start_containerd()
        local = self.import_image(containerd, self.make_image("pushed"))
        for habit in (NEXUS_TOKENS, NEXUS, DISTRIBUTION, ECR):
            self.serve_front(habit)
            self.manners.users["robot"] = "changed"
            containerd.trust(self.host)
            for _ in range(2):
                pulled = containerd.pull(self.app, *self.user("alice"))
                self.assertNotEqual(pulled.status, 0)
                pushed = containerd.push(self.app, local, *self.user("alice"))
                self.assertNotEqual(pushed.status, 0)
            self.assertEqual(self.manners.wrong, 1, habit.name)


class SkopeoTests(FrontTestCase):
    def test_accounts_in_front(self) -> None:
        """The ping is ours, so it logs in, whatever the upstream's ping says."""
        image = self.make_image("pushed")
        for habit in (NEXUS_TOKENS, NEXUS, HARBOR, QUAY, ECR, ZOT):
            self.serve_front(habit)
            skopeo = self.make_skopeo(f"{habit.name}-client")
            nobody = self.make_skopeo(f"{habit.name}-nobody")
            self.assertEqual(nobody.digest_of(self.app), "")
            self.log_in(skopeo, "alice")
            target = f"{self.host}/team/app:{habit.name}"
            self.assert_done(skopeo.push(image.source, target))
            self.assertEqual(skopeo.digest_of(target), image.digest, habit.name)
            tags = self.assert_done(skopeo.list_tags(f"{self.host}/team/app"))
            self.assertIn(f'"{habit.name}"', tags.stdout)
            self.assertEqual(skopeo.digest_of(self.secret), "")
            self.assertEqual(self.manners.wrong, 0, habit.name)

    def test_wrong_password(self) -> None:
        """Ours is shown once, and the client is not told that its own is wrong."""
        for habit in (NEXUS, DISTRIBUTION, ECR):
            self.serve_front(habit)
            self.manners.users["robot"] = "changed"
            skopeo = self.make_skopeo(f"{habit.name}-client")
            self.log_in(skopeo, "alice")
            for _ in range(3):
                failed = skopeo.list_tags(f"{self.host}/team/app")
                self.assert_refused(failed, "unavailable|503|refuses regbroker's own")
            self.assertEqual(self.manners.wrong, 1, habit.name)

    def test_key_file(self) -> None:
        """Google's password, as it is in its file."""
        self.password_file.write_text(KEY_FILE)
        self.add_secret(KEY_FILE)
        self.serve_front(GOOGLE, "_json_key")
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assertEqual(skopeo.digest_of(self.app), self.image.digest)
        self.assertEqual(self.manners.wrong, 0)

    def test_password_changed(self) -> None:
        """The client's own: a wrong one does not log in, and the new one does."""
        self.serve(HARBOR, "accounts = upstream")
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assertEqual(skopeo.digest_of(self.app), self.image.digest)
        self.manners.users["alice"] = ROBOT_PASSWORD
        again = self.make_skopeo("again")
        refused = again.login(self.host, "alice", "guess")
        self.assert_refused(refused, "unauthorized|invalid username/password|401")
        self.assert_done(again.login(self.host, "alice", ROBOT_PASSWORD))
