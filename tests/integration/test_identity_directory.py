"""A file and a directory beside issuers: nobody in them is taken for one of theirs."""

from __future__ import annotations

from urllib.parse import urlencode

from tests.issuers import jwk, jwks, rsa_key

from .accounts_case import SOON_SECONDS
from .identity_case import EXCHANGE, IDENTITY, JWT_TYPE, SteeredTestCase
from .peers.https_client import Reply, basic
from .peers.processes import poll
from .peers.signing import claims_of
from .peers.slapd import PASSWORDS, PEOPLE, READER, READER_PASSWORD, Slapd

ACCOUNTS = """\
[accounts staff]
htpasswd = {htpasswd}
ldap = {url}/{people}?uid?sub?(objectclass=inetOrgPerson)
ldap-ca-file = {ca_file}
ldap-bind-dn = {reader}
ldap-bind-password-file = {password_file}

[access staff]
authenticated = team/**: pull, push
anonymous = lib/open: pull
ci[] = team/${{repository}}/**: pull, push
"""

#: People with names that claims could make; the last one has two names.
JOB, SHORT, MALLORY, OTHER = "ci:acme/app", "job-acme/app", "mallory", "job-x/y"
FILED = "job-acme/file"
PEOPLE_ADDED = {
    JOB: (JOB, "the job's secret"),
    SHORT: (SHORT, "short's secret"),
    MALLORY: (f"{MALLORY}\nuid: {OTHER}", "mallory's secret"),
}

ENTRY = """\
dn: uid={name},{people}
objectClass: inetOrgPerson
cn: {name}
sn: {name}
uid: {uid}
userPassword: {password}
"""

SCOPE = "repository:team/acme/app/x:pull,push"
GRANTED = {"repository:team/acme/app/x": ["pull", "push"]}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
IMITATES = "is a user of ours with a name that only an issuer may give"


class DirectoryTests(SteeredTestCase):
    """Two issuers, and people of a real directory with names like theirs."""

    names = "ci, short"

    def start_regbroker(self) -> None:
        self.slapd = Slapd(self.directory / "slapd", self.authority)
        self.addCleanup(self.slapd.end)
        self.slapd.start()
        for name, (uid, password) in PEOPLE_ADDED.items():
            entry = ENTRY.format(name=name, people=PEOPLE, uid=uid, password=password)
            self.slapd.change(entry, "ldapadd")
            self.add_secret(password)
        self.password_file = self.directory / "reader.password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(READER_PASSWORD)
        self.add_secret(READER_PASSWORD)
        super().start_regbroker()

    def accounts(self) -> str:
        return ACCOUNTS.format(
            htpasswd=self.htpasswd.path,
            url=self.slapd.tls_url,
            people=PEOPLE,
            ca_file=self.ca_file,
            reader=READER,
            password_file=self.password_file,
        )

    def identities(self) -> str:
        keys = self.directory / "keys.json"
        keys.write_bytes(jwks(jwk(rsa_key("one"), "one")))
        short = IDENTITY.format(
            name="short",
            issuer="https://short.example.com",
            audience="a",
            ca_file=self.ca_file,
            more=f"jwks = {keys}\nuser = job-${{repository}}",
        )
        return super().identities() + short

    def post(self, user: str, password: str, **more: str) -> Reply:
        """Log in with a form, which has any name, also one with a colon."""
        form = {"grant_type": "password", "username": user, "password": password}
        return self.post_token(**form, scope=SCOPE, **more)

    def imitations(self) -> int:
        """How often the log says that somebody imitates."""
        return self.regbroker.log().count(IMITATES)

    def is_imitation(self, header: dict[str, str]) -> bool:
        """Log in, and tell whether the log says that somebody imitates."""
        self.assertEqual(self.get("/v2/", header).status, 401)
        return self.imitations() > 0

    def test_imitation(self) -> None:
        """The directory takes the password, and the login is refused all the same."""
        for user, right in ((JOB, JOB), (JOB.upper(), JOB), (SHORT, SHORT)):
            password = PEOPLE_ADDED[right][1]
            before = self.imitations()
            refused = self.post(user, password, access_type="offline")
            self.assert_oci_error(refused, 401, "UNAUTHORIZED")
            # It was the name, and not the password; the client cannot tell.
            self.assertEqual(self.imitations(), before + 1)
            wrong = self.post(user, "not it")
            self.assertEqual(self.imitations(), before + 1)
            self.assertEqual(refused.error_codes(), wrong.error_codes())
            self.assertEqual(
                refused.all("WWW-Authenticate"), wrong.all("WWW-Authenticate")
            )
        # Without a colon, Basic can have such a name, too.
        header = self.as_user(SHORT, PEOPLE_ADDED[SHORT][1])
        for target in ("/v2/", "/v2/team/acme/app/x/tags/list", f"/auth?scope={SCOPE}"):
            before = self.imitations()
            self.assertEqual(self.get(target, header).status, 401, target)
            self.assertEqual(self.imitations(), before + 1)

    def test_two_names(self) -> None:
        """Who has a name of his own beside such a one logs in with his own."""
        password = PEOPLE_ADDED[MALLORY][1]
        self.assertEqual(self.get("/v2/", self.as_user(MALLORY, password)).status, 200)
        self.assertEqual(self.get("/v2/", self.as_user(OTHER, password)).status, 401)
        self.assertEqual(self.imitations(), 1)

    def test_file(self) -> None:
        """A user of the file has such a name: at the start, later, in a reload."""
        header = self.as_user(FILED, "the filed one's secret")
        self.set_password(FILED, "the filed one's secret")
        self.htpasswd.remove("dora")
        dora = self.as_user("dora")
        poll(lambda: self.get("/v2/", dora).status == 401, "the new file", SOON_SECONDS)
        # htpasswd writes the file in place, so it may have been read half written.
        poll(lambda: self.is_imitation(header), "all of the new file", SOON_SECONDS)
        self.assertEqual(self.imitations(), 1)
        self.assertEqual(self.get("/v2/", self.as_user("carol")).status, 200)
        why = f"'{FILED}' could be somebody of \\[identity short\\]"
        self.assertRegex(self.regbroker.reload(), why)
        self.assertEqual(self.get("/v2/", self.as_user("carol")).status, 200)
        self.regbroker.stop()
        with self.assertRaises(AssertionError) as caught:
            self.regbroker.start()
        self.assertRegex(str(caught.exception), rf"ended \(1\):[\s\S]*{why}")

    def test_others(self) -> None:
        """Other people and jobs log in as ever, and the directory sees no token."""
        filed = self.ask_token("carol", SCOPE)
        self.assertEqual(self.granted(filed), GRANTED)
        stranger = self.ask_token("", SCOPE, "repository:lib/open:pull,push")
        self.assertEqual(self.granted(stranger), {"repository:lib/open": ["pull"]})
        reply = self.ask_token("alice", SCOPE, password=PASSWORDS["alice"])
        self.assertEqual(self.granted(reply), GRANTED)
        seen = len(self.slapd.log())
        job = self.job()
        form = {
            "grant_type": EXCHANGE,
            "subject_token": job,
            "subject_token_type": JWT_TYPE,
            "scope": SCOPE,
        }
        replies = [
            # Whatever name stands beside it.
            *(self.ask_token(user, SCOPE, password=job) for user in ("oidc", "alice")),
            self.post(JOB, job),
            self.https.request("POST", "/auth", FORM, urlencode(form).encode()),
        ]
        for reply in replies:
            self.assertEqual(self.granted(reply), GRANTED)
            self.assertEqual(claims_of(reply.json()["token"])["sub"], JOB)
        header = {"Authorization": basic("alice", job + "x")}
        self.assertEqual(self.get("/v2/", header).status, 401)
        self.assertNotIn("ACCEPT", self.slapd.log()[seen:])

    def test_identity_token(self) -> None:
        """What such a user was given before there was the issuer ends with that."""
        # It listens before it hears signals.
        self.assertEqual(self.get("/v2/").status, 401)
        path = self.regbroker.configuration
        text = path.read_text()
        path.write_text(text.replace("accounts = staff, ci, short", "accounts = staff"))
        self.assertIn("in use", self.regbroker.reload())
        people = {JOB: PEOPLE_ADDED[JOB][1], "alice": PASSWORDS["alice"]}
        tokens = {
            user: self.post(user, password, access_type="offline").json()[
                "refresh_token"
            ]
            for user, password in people.items()
        }

        def renewed(user: str) -> int:
            form = {"grant_type": "refresh_token", "refresh_token": tokens[user]}
            return self.post_token(**form).status

        self.assertEqual((renewed(JOB), renewed("alice")), (200, 200))
        path.write_text(text)
        self.assertIn("in use", self.regbroker.reload())
        self.assertEqual((renewed(JOB), renewed("alice")), (401, 200))
