"""Accounts in a file of `htpasswd`, and rights, in front of a registry without any."""

from __future__ import annotations

from urllib.parse import urlencode

from .accounts_case import PASSWORDS, WRONG, BareRegistryTestCase
from .case import mounts, uploads
from .peers.https_client import bearer
from .peers.images import MANIFEST_MEDIA_TYPE

REFUSAL = "denied|unauthorized|authentication required|authorization failed"
"""How the clients put it."""


class ClientTests(BareRegistryTestCase):
    """What people do with real clients."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()

    def test_push_as_alice_refused_as_bob(self) -> None:
        """alice pushes and pulls; bob, who may pull, pulls and cannot push."""
        alice, bob = self.make_skopeo("alice"), self.make_skopeo("bob")
        self.log_in(alice, "alice")
        self.log_in(bob, "bob")
        reference = f"{self.host}/team/app:1"
        self.assert_refused(bob.push(self.image.source, reference), REFUSAL)
        self.assert_done(alice.push(self.image.source, reference))
        self.assertEqual(bob.digest_of(reference), self.image.digest)
        self.assert_refused(
            bob.push(self.image.source, f"{self.host}/team/app:2"), REFUSAL
        )
        requests = self.upstream_requests_until("/v2/acme_team/app/manifests/1")
        written = {
            one.target for one in requests if one.method == "PUT" and one.status == 201
        }
        self.assertIn("/v2/acme_team/app/manifests/1", written)
        self.assertFalse([target for target in written if "manifests/2" in target])

    def test_wrong_password(self) -> None:
        """skopeo says that the password is wrong, and stores nothing."""
        skopeo = self.make_skopeo()
        refused = skopeo.login(self.host, "alice", WRONG)
        self.assert_refused(refused, "invalid username/password")

    def test_anonymous(self) -> None:
        """Who brings nothing pulls what everybody may pull, and nothing else."""
        self.put_upstream(self.image, "mirror/lib_open:1", "mirror/lib_closed:1")
        nobody = self.make_skopeo()
        reference = f"{self.host}/lib/open:1"
        self.assertEqual(nobody.digest_of(reference), self.image.digest)
        pulled = nobody.pull(reference, f"oci:{self.directory}/pulled:1")
        self.assert_done(pulled)
        closed = nobody.list_tags(f"{self.host}/lib/closed")
        self.assert_refused(closed, REFUSAL)
        self.assert_refused(nobody.push(self.image.source, reference), REFUSAL)

    def test_namespaces_of_ones_own(self) -> None:
        """Whoever logs in has the namespace of that name, and not another's."""
        bob = self.make_skopeo()
        self.log_in(bob, "bob")
        mine = f"{self.host}/home/bob/tools/app:1"
        self.assert_done(bob.push(self.image.source, mine))
        self.assertEqual(bob.digest_of(mine), self.image.digest)
        theirs = f"{self.host}/home/alice/app:1"
        self.assert_refused(bob.push(self.image.source, theirs), REFUSAL)
        self.assert_refused(bob.list_tags(f"{self.host}/home/alice/app"), REFUSAL)

    def test_deleting(self) -> None:
        """It takes its own right: pushing is not enough."""
        self.put_upstream(self.image, "acme_team/app:1")
        alice, carol = self.make_skopeo("alice"), self.make_skopeo("carol")
        self.log_in(alice, "alice")
        self.log_in(carol, "carol")
        reference = f"{self.host}/team/app:1"
        self.assert_refused(alice.delete(reference), "Unauthorized")
        self.assertEqual(alice.digest_of(reference), self.image.digest)
        self.assert_done(carol.delete(reference))
        self.assertEqual(alice.digest_of(reference), "")

    def test_containerd(self) -> None:
        """containerd, which never pings, pushes as alice and is refused as bob."""
        containerd = self.start_containerd()
        containerd.trust(self.host)
        name = self.import_image(containerd, self.image)
        reference = f"{self.host}/team/app:1"
        bob = "--user", f"bob:{PASSWORDS['bob']}"
        self.assert_refused(containerd.push(reference, name, *bob), REFUSAL)
        alice = "--user", f"alice:{PASSWORDS['alice']}"
        self.assert_done(containerd.push(reference, name, *alice))
        self.assert_done(containerd.pull(reference, *bob))

    def test_podman(self) -> None:
        """podman logs in, pulls as bob and cannot push."""
        self.put_upstream(self.image, "acme_team/app:1")
        podman = self.make_podman()
        podman.trust(self.host)
        self.assert_done(podman.login(self.host, "bob", PASSWORDS["bob"]))
        reference = f"{self.host}/team/app:1"
        self.assert_done(podman.pull(reference))
        denied = podman.run("push", reference, f"{self.host}/team/app:2")
        self.assert_refused(denied, REFUSAL)

    def test_mounts(self) -> None:
        """A second push of the same layers moves none of them."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        source = self.image.source
        self.assert_done(skopeo.push(source, f"{self.host}/team/app:1"))
        self.assert_done(skopeo.push(source, f"{self.host}/team/copy:1"))
        requests = self.upstream_requests_until("/v2/acme_team/copy/manifests/1")
        made = [one.status for one in mounts(requests, "acme_team/copy")]
        self.assertEqual(made.count(201), len(self.image.layer_digests))
        self.assertLessEqual(
            len([u for u in uploads(requests, "acme_team/copy") if u.method == "PUT"]),
            1,
            "only the config may be uploaded",
        )


class RightsTests(BareRegistryTestCase):
    """What the rules say, request by request."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(
            self.image,
            *("acme_team/app:1", "acme_team/web:1", "mirror/lib_open:1"),
            *("mirror/lib_closed:1", "private/app:1", "people/bob/app:1"),
        )
        self.layer = self.image.layer_digests[0]

    def status(self, user: str, method: str, target: str) -> int:
        """How a request is answered that comes with the best token there is."""
        accept = {"Accept": MANIFEST_MEDIA_TYPE}
        first = self.https.request(method, target, accept)
        if first.status != 401:
            return first.status
        header = self.token(user, first.challenge()["scope"])
        return self.https.request(method, target, header | accept).status

    def test_each_action(self) -> None:
        """What is granted is let through, everything else is refused."""
        manifest = "/v2/team/app/manifests/1"
        upload = "/v2/team/app/blobs/uploads/"
        expected = {
            ("alice", "GET", manifest): 200,
            ("alice", "POST", upload): 202,
            ("alice", "DELETE", manifest): 401,
            ("bob", "HEAD", manifest): 200,
            ("bob", "POST", upload): 401,
            ("carol", "GET", manifest): 200,
            ("carol", "POST", upload): 401,
            # the registry deletes by digest alone
            ("carol", "DELETE", manifest): 400,
            ("dora", "GET", manifest): 401,
            ("dora", "GET", "/v2/lib/open/tags/list"): 200,
            ("", "GET", manifest): 401,
            ("", "GET", "/v2/lib/open/tags/list"): 200,
            ("", "GET", "/v2/lib/closed/tags/list"): 401,
            ("alice", "GET", "/v2/lib/closed/tags/list"): 200,
            ("alice", "GET", "/v2/home/bob/app/tags/list"): 401,
            ("bob", "GET", "/v2/home/bob/app/tags/list"): 200,
        }
        for case, status in expected.items():
            self.assertEqual(self.status(*case), status, case)

    def test_challenges(self) -> None:
        """They name our realm, ourselves as the service, and what is needed."""
        reply = self.get("/v2/")
        self.assert_oci_error(reply, 401, "UNAUTHORIZED")
        own = {"realm": f"https://{self.host}/auth", "service": "localhost"}
        self.assertEqual(reply.challenge(), own)
        cases = [
            ("GET", "team/app/tags/list", "repository:team/app:pull"),
            ("POST", "team/app/blobs/uploads/", "repository:team/app:pull,push"),
            ("DELETE", "team/app/manifests/1", "repository:team/app:delete"),
            ("GET", "_catalog", "registry:catalog:*"),
        ]
        for method, target, scope in cases:
            reply = self.https.request(method, f"/v2/{target}")
            self.assert_oci_error(reply, 401, "UNAUTHORIZED")
            self.assertEqual(reply.challenge(), own | {"scope": scope})
        bob = self.token("bob", "repository:team/app:pull,push")
        reply = self.https.request("POST", "/v2/team/app/blobs/uploads/", bob)
        self.assertEqual(reply.status, 401, reply)
        self.assertEqual(reply.challenge()["error"], "insufficient_scope")

    def test_intersection(self) -> None:
        """A token has what of the scopes is granted, which is no error."""
        wanted = "repository:team/app:pull,push,delete"
        both = [wanted, "repository:lib/open:pull,push repository:private/app:pull"]
        app, lib = "repository:team/app", "repository:lib/open"
        for user, granted in {
            "alice": {app: ["pull", "push"], lib: ["pull"]},
            "bob": {app: ["pull"], lib: ["pull"]},
            "carol": {app: ["pull", "delete"], lib: ["pull"]},
            "": {lib: ["pull"]},
        }.items():
            reply = self.ask_token(user, *both)
            self.assertEqual(self.granted(reply), granted, user)
        keeper = self.ask_token("keeper", "repository:team/app:*")
        self.assertIn("delete", self.granted(keeper)[app])
        posted = self.post_token(
            grant_type="password",
            username="bob",
            password=PASSWORDS["bob"],
            scope=wanted,
        )
        self.assertEqual(posted.json()["scope"], "repository:team/app:pull")

    def test_unmapped_names(self) -> None:
        """What no rule maps is not there, whoever asks and however."""
        for user in ("keeper", "bob", ""):
            reply = self.ask_token(user, "repository:private/app:pull")
            self.assertEqual(self.granted(reply), {})
            headers = [bearer(reply.json()["token"])]
            headers += [self.as_user(user)] if user else []
            for header in headers:
                refused = self.get("/v2/private/app/manifests/1", header)
                self.assert_oci_error(refused, 404, "NAME_UNKNOWN")
        asked = [
            one.method
            for one in self.upstream_requests_until("/v2/private/app/manifests/1")
            if one.target == "/v2/private/app/manifests/1"
        ]
        self.assertEqual(asked, ["PUT"], "by whoever filled the registry")

    def test_aliases(self) -> None:
        """Upstream names, which clients may write, lead around no right."""
        for user, name, granted in (
            ("bob", "acme_team/app", {"repository:team/app": ["pull"]}),
            ("", "acme_team/app", {}),
            ("", "mirror/lib_closed", {}),
            ("", "mirror/lib_open", {"repository:lib/open": ["pull"]}),
            ("alice", "people/bob/app", {}),
            ("alice", "mirror/lib_closed", {"repository:lib/closed": ["pull"]}),
        ):
            reply = self.ask_token(user, f"repository:{name}:pull,push,delete")
            self.assertEqual(self.granted(reply), granted, (user, name))
            header = bearer(reply.json()["token"])
            pulled = self.get(f"/v2/{name}/tags/list", header)
            self.assertEqual(pulled.status, 200 if granted else 401, (user, name))
            pushed = self.post_upload(name, header)
            self.assertEqual(pushed.status, 401, (user, name))
        # the token for the one name is good for the other
        bob = self.token("bob", "repository:acme_team/app:pull")
        self.assertEqual(self.get("/v2/team/app/tags/list", bob).status, 200)
        refused = self.post_upload("acme_team/app", self.as_user("bob"))
        self.assert_oci_error(refused, 403, "DENIED")

    def test_names_with_our_host(self) -> None:
        """Some clients write the host before the name in a scope."""
        reply = self.ask_token("bob", f"repository:{self.host}/team/app:pull,push")
        self.assertEqual(self.granted(reply), {"repository:team/app": ["pull"]})

    def test_catalog(self) -> None:
        """It takes its own right, and shows what that right is about."""
        catalog = "registry:catalog:*"
        for user, names in {
            "dora": ["lib/closed", "lib/open", "team/web"],
            "keeper": [
                *("home/bob/app", "lib/closed", "lib/open", "team/app", "team/web"),
            ],
        }.items():
            for header in (self.token(user, catalog), self.as_user(user)):
                found = self.get("/v2/_catalog", header).json()["repositories"]
                self.assertEqual(sorted(found), names, user)
            paged, target = [], "/v2/_catalog?n=1"
            while target:
                reply = self.get(target, header)
                paged += reply.json()["repositories"]
                target = "".join(reply.all("Link")).partition(">")[0].lstrip("<")
            self.assertEqual(sorted(paged), names, user)
        for user in ("alice", "bob", ""):
            reply = self.ask_token(user, catalog)
            self.assertEqual(self.granted(reply), {})
            refused = self.get("/v2/_catalog", bearer(reply.json()["token"]))
            self.assert_oci_error(refused, 401, "UNAUTHORIZED")
        refused = self.get("/v2/_catalog", self.as_user("bob"))
        self.assert_oci_error(refused, 403, "DENIED")

    def test_mount(self) -> None:
        """With the right to pull there it is a mount; without, an upload."""
        cases = [
            ("team/web", 201),
            ("acme_team/web", 201),
            ("home/bob/app", 202),
            ("people/bob/app", 202),
            ("private/app", 202),
        ]
        for source, status in cases:
            scopes = "repository:team/new:pull,push", f"repository:{source}:pull"
            query = f"?mount={self.layer}&from={source}"
            for header in (self.token("alice", *scopes), self.as_user("alice")):
                reply = self.post_upload("team/new", header, query)
                self.assertEqual(reply.status, status, (source, reply))
        denied = self.post_upload("team/new", self.as_user("bob"), query)
        self.assertEqual(denied.status, 403, denied)
        requests = self.upstream_requests_until("/v2/acme_team/new/blobs/uploads/")
        asked = {one.target for one in mounts(requests, "acme_team/new")}
        self.assertFalse([one for one in asked if "bob" in one or "private" in one])

    def test_mount_in_a_form(self) -> None:
        """Forms count for nothing: distribution would take names out of them."""
        header = self.as_user("alice")
        fields = {"mount": self.layer, "from": "private/app"}
        boundary = "x" * 20
        parts = "".join(
            f"--{boundary}\r\nContent-Disposition: form-data; "
            f'name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        for kind, body in (
            ("application/x-www-form-urlencoded", urlencode(fields)),
            (f"multipart/form-data; boundary={boundary}", f"{parts}--{boundary}--\r\n"),
        ):
            reply = self.https.request(
                "POST",
                "/v2/team/new/blobs/uploads/",
                header | {"Content-Type": kind},
                body.encode(),
            )
            self.assertEqual(reply.status, 202, (kind, reply))
        blob = self.https.request("GET", f"/v2/team/new/blobs/{self.layer}", header)
        self.assertEqual(blob.status, 404, blob)

    def test_tokens_are_for_what_they_say(self) -> None:
        """A token is good for the repository in it, and not for its neighbour."""
        header = self.token("alice", "repository:team/app:pull")
        self.assertEqual(self.get("/v2/team/app/tags/list", header).status, 200)
        refused = self.get("/v2/team/web/tags/list", header)
        self.assertEqual(refused.status, 401, refused)
        self.assertEqual(refused.challenge()["scope"], "repository:team/web:pull")
        self.assertEqual(self.get("/v2/", header).status, 200)

    def test_replies_of_the_upstream(self) -> None:
        """Names are mapped back, the bytes are the upstream's."""
        header = self.as_user("alice")
        tags = self.get("/v2/team/app/tags/list", header)
        self.assertEqual(tags.json(), {"name": "team/app", "tags": ["1"]})
        accept = {"Accept": MANIFEST_MEDIA_TYPE}
        manifest = self.get("/v2/team/app/manifests/1", header | accept)
        self.assertEqual(manifest.body, self.image.blob(self.image.digest))
        missing = self.get("/v2/team/none/manifests/1", header)
        self.assertEqual(missing.status, 404, missing)
        self.assertNotIn(b"acme", missing.body)
        upload = self.https.request("POST", "/v2/team/app/blobs/uploads/", header)
        self.assertRegex(upload.one("Location"), "^/v2/team/app/blobs/uploads/")
        gone = self.https.request("DELETE", upload.location(), header)
        self.assertEqual(gone.status, 204, gone)


class TlsUpstreamTests(BareRegistryTestCase):
    """The same with an upstream over TLS."""

    tls_upstream = True

    def test_push_and_pull(self) -> None:
        """The upstream's certificate is checked against ca-file."""
        image = self.make_image()
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        reference = f"{self.host}/team/app:1"
        self.assert_done(skopeo.push(image.source, reference))
        self.assertEqual(skopeo.digest_of(reference), image.digest)
