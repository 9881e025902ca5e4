"""Accounts of a real directory in front of a registry without any."""

from __future__ import annotations

from .accounts_case import PASSWORDS, SOON_SECONDS, WRONG, BareRegistryTestCase
from .peers.processes import poll
from .peers.slapd import (
    ALICE,
    GROUPS,
    PEOPLE,
    READER,
    READER_PASSWORD,
    ROOT_PASSWORD,
    WEIRD,
    Slapd,
)
from .peers.slapd import PASSWORDS as IN_DIRECTORY

DIRECTORY = """\
[accounts staff]
ldap = {url}/{people}?uid?sub?(objectclass=posixAccount)
ldap-ca-file = {ca_file}
ldap-bind-dn = {reader}
ldap-bind-password-file = {password_file}
ldap-group-base = {groups}

[access staff]
@developers = team/**: pull, push
@everybody = team/**: pull
@operators = lib/**: pull
authenticated = home/${{user}}/**: pull, push
anonymous = lib/open*: pull
"""

TAGS = "/v2/team/app/tags/list"


class DirectoryTestCase(BareRegistryTestCase):
    """regbroker between clients, `slapd` and `docker-registry`."""

    with_file = False

    def start_regbroker(self) -> None:
        self.slapd = Slapd(self.directory / "slapd", self.authority)
        self.addCleanup(self.slapd.end)
        self.slapd.start()
        for secret in (*IN_DIRECTORY.values(), READER_PASSWORD, ROOT_PASSWORD):
            self.add_secret(secret)
        self.password_file = self.directory / "reader.password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(READER_PASSWORD + "\n")
        accounts = DIRECTORY.format(
            url=self.url(),
            people=PEOPLE,
            ca_file=self.ca_file,
            reader=READER,
            groups=GROUPS,
            password_file=self.password_file,
        )
        if self.with_file:
            accounts = accounts.replace(
                "[accounts staff]\n",
                f"[accounts staff]\nhtpasswd = {self.htpasswd.path}\n",
            )
        self.use(self.start_local(self.sections(accounts=accounts)))

    def url(self) -> str:
        """Where regbroker finds the directory."""
        return self.slapd.tls_url

    def status(self, user: str, password: str | None = None) -> int:
        """How a token request with a password is answered."""
        given = IN_DIRECTORY[user] if password is None else password
        return self.ask_token(user, password=given).status


class GroupTests(DirectoryTestCase):
    """Who may do what follows from the groups."""

    def test_skopeo(self) -> None:
        """alice, a developer, pushes; bob, who is none, pulls and cannot push."""
        image = self.make_image()
        alice, bob = self.make_skopeo("alice"), self.make_skopeo("bob")
        wrong = bob.login(self.host, "bob", WRONG)
        self.assert_refused(wrong, "invalid username/password")
        for user, client in (("alice", alice), ("bob", bob)):
            done = client.login(self.host, user, IN_DIRECTORY[user])
            self.assert_done(done)
        reference = f"{self.host}/team/app:1"
        refused = bob.push(image.source, reference)
        self.assert_refused(refused, "denied|unauthorized|authentication required")
        self.assert_done(alice.push(image.source, reference))
        self.assertEqual(bob.digest_of(reference), image.digest)
        mine = f"{self.host}/home/bob/app:1"
        self.assert_done(bob.push(image.source, mine))

    def test_tokens(self) -> None:
        """Each has the actions of their groups, and what everybody has."""
        app, lib = "repository:team/app", "repository:lib/closed"
        wanted = f"{app}:pull,push,delete", f"{lib}:pull,push"
        for user, granted in {
            "alice": {app: ["pull", "push"], lib: ["pull"]},
            WEIRD: {app: ["pull", "push"], lib: ["pull"]},
            "bob": {app: ["pull"]},
        }.items():
            reply = self.ask_token(user, *wanted, password=IN_DIRECTORY[user])
            self.assertEqual(self.granted(reply), granted, user)
        for user, password in (
            ("guest", IN_DIRECTORY["guest"]),
            ("alice*", IN_DIRECTORY["alice"]),
            ("*", IN_DIRECTORY["alice"]),
            ("alice)(uid=*", IN_DIRECTORY["alice"]),
            ("alice", ""),
            ("nobody", "nobody's"),
        ):
            self.assertEqual(self.status(user, password), 401, (user, password))

    def test_identity_token(self) -> None:
        """It lives as long as the password."""
        alice = IN_DIRECTORY["alice"]
        reply = self.ask_token("alice", password=alice, offline_token="true")
        self.assertEqual(reply.status, 200, reply)
        identity = reply.json()["refresh_token"]

        def renewed() -> int:
            form = {"grant_type": "refresh_token", "refresh_token": identity}
            return self.post_token(**form).status

        self.assertEqual(renewed(), 200)
        self.add_secret("alice's next secret")
        self.slapd.set_password(ALICE, "alice's next secret")
        poll(lambda: renewed() == 401, "the identity token's death", SOON_SECONDS)


class StartTlsTests(DirectoryTestCase):
    """`ldap://`, upgraded."""

    def url(self) -> str:
        return self.slapd.url

    def test_login(self) -> None:
        """The password goes over TLS, which slapd's log tells."""
        self.assertEqual(self.status("alice"), 200)
        self.assertEqual(self.status("alice", WRONG), 401)
        poll(lambda: "STARTTLS" in self.slapd.log(), "STARTTLS in the log")
        self.assertRegex(self.slapd.log(), "TLS established")


class OutageTests(DirectoryTestCase):
    """The directory is stopped and started again."""

    def test_stopped(self) -> None:
        """503 and not 401, until it is back; tokens given before go on."""
        self.put_upstream(self.make_image(), "acme_team/app:1")
        reply = self.ask_token(
            "alice", "repository:team/app:pull", password=IN_DIRECTORY["alice"]
        )
        header = {"Authorization": f"Bearer {reply.json()['token']}"}
        self.slapd.stop()
        for user, password in (
            ("bob", IN_DIRECTORY["bob"]),
            ("bob", WRONG),
            ("nobody", "nobody's"),
        ):
            refused = self.ask_token(user, password=password)
            self.assert_oci_error(refused, 503, "UNAVAILABLE")
            self.assertEqual(refused.all("WWW-Authenticate"), [])
            basic = self.as_user(user, password)
            self.assert_oci_error(self.get(TAGS, basic), 503, "UNAVAILABLE")
        self.assertEqual(self.get(TAGS, header).status, 200)
        self.assertEqual(self.get("/v2/").status, 401)
        self.assertEqual(self.ask_token("").status, 200)
        self.slapd.start()
        poll(lambda: self.status("bob") == 200, "the directory", 2 * SOON_SECONDS)
        self.assertEqual(self.status("bob", WRONG), 401)

    def test_skopeo(self) -> None:
        """skopeo does not take it for a wrong password."""
        self.slapd.stop()
        skopeo = self.make_skopeo()
        down = skopeo.login(self.host, "bob", IN_DIRECTORY["bob"])
        self.assertNotEqual(down.status, 0)
        self.assertNotIn("invalid username/password", down.output)

    def test_frozen(self) -> None:
        """One that does not answer is no better than one that is down."""
        self.assertEqual(self.status("bob"), 200)
        self.slapd.freeze()
        try:
            reply = self.ask_token("alice", password=IN_DIRECTORY["alice"])
            self.assert_oci_error(reply, 503, "UNAVAILABLE")
        finally:
            self.slapd.thaw()
        poll(lambda: self.status("alice") == 200, "the directory", 2 * SOON_SECONDS)

    def test_wrong_reader(self) -> None:
        """That our own account there is refused is no client's fault."""
        self.password_file.write_text("not the reader's\n")
        self.add_secret("not the reader's")
        poll(
            lambda: self.status("alice") == 503,
            "the new password file",
            2 * SOON_SECONDS,
        )
        self.password_file.write_text(READER_PASSWORD)
        poll(lambda: self.status("alice") == 200, "the right one", 2 * SOON_SECONDS)


class TwoSourcesTests(DirectoryTestCase):
    """A file and a directory behind it."""

    with_file = True

    def test_order(self) -> None:
        """Each is asked; who is in both may log in with either password."""
        self.assertEqual(self.status("carol", PASSWORDS["carol"]), 200)
        self.assertEqual(self.status("bob"), 200)
        self.assertEqual(self.status("bob", PASSWORDS["bob"]), 200)
        self.assertEqual(self.status("bob", PASSWORDS["carol"]), 401)

    def test_identity_tokens(self) -> None:
        """Who is in both has one of either password's, and each dies with its own."""
        tokens = [
            self.ask_token("bob", password=password, offline_token="true").json()
            for password in (IN_DIRECTORY["bob"], PASSWORDS["bob"])
        ]

        def renewed(number: int) -> int:
            token = tokens[number]["refresh_token"]
            form = {"grant_type": "refresh_token", "refresh_token": token}
            return self.post_token(**form).status

        self.assertEqual([renewed(0), renewed(1)], [200, 200])
        self.set_password("bob", "bob's next")
        poll(lambda: renewed(1) == 401, "the identity token's death", SOON_SECONDS)
        self.assertEqual(renewed(0), 200)

    def test_directory_down(self) -> None:
        """Who is in the file gets in; about others nothing can be said."""
        self.slapd.stop()
        self.assertEqual(self.status("carol", PASSWORDS["carol"]), 200)
        self.assertEqual(self.status("bob"), 503)
        self.assertEqual(self.status("nobody", "nobody's"), 503)
