"""Several registries on one host, by namespace; names without a namespace."""

from __future__ import annotations

import re
from urllib.parse import quote

from .fronts_case import ALL, PULL, FrontsTestCase, Source, repositories
from .peers.https_client import Reply, bearer
from .peers.images import MANIFEST_MEDIA_TYPE
from .peers.processes import poll
from .peers.token_server import User

SECTIONS = """\
[registry localhost]
{accounts}
namespaces =
    hub/* = dockerhub:*
    quay/* = quay:*

[registry 127.0.0.1]
upstream = dockerhub
catalog = deny
namespaces =
    * = *

"""

ALICE = "alice's secret"
BOB = "bob's secret"
ROBOT = "robot's secret"

HUB_RIGHTS = {"library/*": ALL, "team/*": ALL}
HUB = {
    "": User("", {"library/*": PULL, "team/app": PULL}),
    "alice": User(ALICE, HUB_RIGHTS, True),
    "hubrobot": User(ROBOT, HUB_RIGHTS, True),
}
QUAY = {
    "": User("", {"org/*": PULL}, True),
    "robot": User(ROBOT, {"org/*": ALL, "closed/*": ALL}, True),
}

ACCEPT = {"Accept": MANIFEST_MEDIA_TYPE}
DENIED = "denied|unauthorized|authentication required|403"


class NamespacesTestCase(FrontsTestCase):
    """`hub/` and `quay/` on `localhost`, Docker Hub alone on `127.0.0.1`."""

    users = {"alice": ALICE, "bob": BOB}

    accounts = "accounts = upstream"
    """Lines of the section for `localhost`."""

    hub_users = HUB
    quay_users = QUAY

    def setUp(self) -> None:
        super().setUp()
        self.hub = self.start_source("dockerhub", self.hub_users, "(library|team)/")
        self.quay = self.start_source("quay", self.quay_users, "(org|closed)/")
        self.nginx = self.make_image("nginx")
        self.tool = self.make_image("tool")
        self.hub.put(self.nginx, "library/nginx", "1")
        self.hub.put(self.nginx, "team/app", "1")
        self.quay.put(self.tool, "org/tool", "1")
        self.quay.put(self.tool, "closed/tool", "1")
        self.start_regbroker(self.sections())
        self.plain_host = f"127.0.0.1:{self.regbroker.port}"

    def sections(self) -> str:
        """The configuration."""
        return (
            SECTIONS.format(accounts=self.accounts)
            + self.hub.section(
                self.root, "default-namespace = library\n" + self.own_hub
            )
            + self.quay.section(self.root, self.own_quay)
        )

    own_hub = ""
    own_quay = ""
    """Lines about an account of regbroker's own."""

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.hub, self.quay

    def asked_by(self, source: Source) -> set[str]:
        """Who has asked an upstream's token server."""
        return {one.user for one in source.token_server.requests()}

    def manifest(self, name: str, headers: dict[str, str], host: str = "") -> Reply:
        """Ask for the manifest of an image."""
        target = f"/v2/{name}/manifests/1"
        return self.request("GET", target, headers | ACCEPT, host)


class PullTests(NamespacesTestCase):
    """Every way to write a name, with skopeo."""

    def test_hub_alone(self) -> None:
        """`nginx` is `library/nginx`, which stays what it is."""
        skopeo = self.make_skopeo()
        for name in ("nginx:1", "library/nginx:1", "team/app:1"):
            reference = f"{self.plain_host}/{name}"
            self.assertEqual(skopeo.digest_of(reference), self.nginx.digest, name)
        self.assertEqual(
            repositories(self.hub.requests()), {"library/nginx", "team/app"}
        )
        self.assertEqual(self.quay.count(), 0)

    def test_below_namespaces(self) -> None:
        """The same below `hub/`, and another registry below `quay/`."""
        skopeo = self.make_skopeo()
        for name, image in (
            ("hub/nginx:1", self.nginx),
            ("hub/library/nginx:1", self.nginx),
            ("hub/team/app:1", self.nginx),
            ("quay/org/tool:1", self.tool),
        ):
            reference = f"{self.host}/{name}"
            self.assertEqual(skopeo.digest_of(reference), image.digest, name)
        target = f"oci:{self.directory}/pulled:1"
        self.assert_done(skopeo.pull(f"{self.host}/hub/nginx:1", target))
        self.assertEqual(
            repositories(self.hub.requests()), {"library/nginx", "team/app"}
        )
        self.assertEqual(repositories(self.quay.requests()), {"org/tool"})

    def test_containerd(self) -> None:
        """It never pings, and takes the challenge of each 401."""
        containerd = self.start_containerd()
        for name, image in (
            ("hub/nginx:1", self.nginx),
            ("quay/org/tool:1", self.tool),
        ):
            reference = f"{self.host}/{name}"
            self.assert_done(containerd.pull(reference))
            self.assertEqual(containerd.digest_of(reference), image.digest)

    def test_other_names(self) -> None:
        """What no rule maps is unknown, and reaches nobody."""
        token = self.token("", "repository:hub/nginx:pull")
        for name in ("nginx", "library/nginx", "org/tool", "ghcr/org/tool"):
            reply = self.manifest(name, token)
            self.assert_oci_error(reply, 404, "NAME_UNKNOWN")
            message = reply.json()["errors"][0]["message"]
            self.assertIn("hub/*, quay/*", message)
        self.assertEqual((self.hub.count(), self.quay.count()), (0, 0))


class WordsTests(NamespacesTestCase):
    """Clients read the names that they have written."""

    def check(self, host: str, name: str, other: str) -> None:
        """`name` in every place of a reply; `other` is the same repository."""
        scope = f"repository:{name}:pull"
        challenged = self.manifest(name, {}, host)
        self.assertEqual(challenged.status, 401, challenged)
        self.assertEqual(challenged.challenge()["scope"], scope)
        none = f"{name}-none"
        token = self.token(
            "alice", f"{scope},push,delete", f"repository:{none}:pull", host=host
        )
        tags = self.request("GET", f"/v2/{name}/tags/list", token, host)
        self.assertEqual(tags.json(), {"name": name, "tags": ["1"]})
        unknown = self.request("GET", f"/v2/{none}/tags/list", token, host)
        self.assert_oci_error(unknown, 404, "NAME_UNKNOWN")
        self.assertEqual(unknown.json()["errors"][0]["detail"], {"name": none})
        upload = self.request("POST", f"/v2/{name}/blobs/uploads/", token, host)
        self.assertEqual(upload.status, 202, upload)
        location = upload.location()
        self.assertTrue(location.startswith(f"/v2/{name}/blobs/uploads/"), location)
        gone = self.request("DELETE", location, token, host)
        self.assertEqual(gone.status, 204, gone)
        # one token is good for both ways to write the name
        reply = self.manifest(other, token, host)
        self.assertEqual(reply.status, 200, reply)

    def test_hub_alone(self) -> None:
        """On a host that is Docker Hub's."""
        self.check(self.plain_host, "nginx", "library/nginx")
        self.check(self.plain_host, "library/nginx", "nginx")

    def test_below_namespace(self) -> None:
        """Below `hub/`."""
        self.check("", "hub/nginx", "hub/library/nginx")
        self.check("", "hub/library/nginx", "hub/nginx")

    def test_missing(self) -> None:
        """A repository that is not there is called what the client calls it."""
        for host, name in ((self.plain_host, "none"), ("", "hub/none")):
            token = self.token("alice", f"repository:{name}:pull", host=host)
            reply = self.request("GET", f"/v2/{name}/tags/list", token, host)
            self.assert_oci_error(reply, 404, "NAME_UNKNOWN")
            self.assertEqual(reply.json()["errors"][0]["detail"]["name"], name)

    def test_posted_token(self) -> None:
        """The scope of a token reply, too."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        for name in ("hub/nginx", "hub/library/nginx"):
            scope = f"repository:{name}:pull"
            body = (
                f"grant_type=password&client_id=tests&service={quote(self.service())}"
                f"&username=alice&password={quote(ALICE)}&scope={quote(scope)}"
            )
            reply = self.https.request("POST", "/auth", kind, body.encode())
            self.assertEqual(reply.status, 200, reply)
            self.assertEqual(reply.json()["scope"], scope)
            token = bearer(reply.json()["access_token"])
            self.assertEqual(self.manifest(name, token).status, 200)

    def test_mount_by_short_name(self) -> None:
        """`from` may be short, too."""
        token = self.token(
            "alice",
            "repository:nginx:pull",
            "repository:team/b:pull,push",
            host=self.plain_host,
        )
        layer = self.nginx.layer_digests[0]
        target = f"/v2/team/b/blobs/uploads/?mount={layer}&from=nginx"
        reply = self.request("POST", target, token, self.plain_host)
        self.assertEqual(reply.status, 201, reply)
        self.assertEqual(reply.location(), f"/v2/team/b/blobs/{layer}")


class FirstUpstreamsAccountsTests(NamespacesTestCase):
    """`accounts = upstream`: those of the first alone; nobody's at the other."""

    def test_login(self) -> None:
        """The first's users log in, and pull everywhere; the second's do not."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        for name in ("hub/nginx:1", "hub/team/app:1", "quay/org/tool:1"):
            done = skopeo.list_tags(f"{self.host}/{name.partition(':')[0]}")
            self.assert_done(done)
        self.assert_done(skopeo.push(self.tool.source, f"{self.host}/hub/team/new:1"))
        refused = self.make_skopeo("robot").login(self.host, "robot", ROBOT)
        self.assert_refused(refused, "invalid username/password|unauthorized")
        self.assertEqual(self.asked_by(self.quay), {""})

    def test_wrong_password(self) -> None:
        """It is wrong, also beside scopes of the other upstream's."""
        hub, quay = "repository:hub/nginx:pull", "repository:quay/org/tool:pull"
        for scopes in ((), (hub,), (hub, quay), (quay, hub)):
            reply = self.ask_token("alice", *scopes, password="wrong")
            self.assertEqual(reply.status, 401, (scopes, reply))

    def test_closed(self) -> None:
        """What nobody may do at the second, a user of the first may not."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        closed = skopeo.list_tags(f"{self.host}/quay/closed/tool")
        self.assert_refused(closed, DENIED)
        pushed = skopeo.push(self.tool.source, f"{self.host}/quay/org/new:1")
        self.assert_refused(pushed, DENIED)
        self.assertEqual(self.asked_by(self.quay), {""})

    def test_one_token_for_both(self) -> None:
        """Scopes of two upstreams in one request; the token is good at both."""
        for user in ("", "alice"):
            token = self.token(
                user, "repository:hub/nginx:pull", "repository:quay/org/tool:pull"
            )
            for name, image in (
                ("hub/nginx", self.nginx),
                ("quay/org/tool", self.tool),
            ):
                reply = self.manifest(name, token)
                self.assertEqual(reply.status, 200, reply)
                self.assertEqual(reply.one("Docker-Content-Digest"), image.digest)
        posted = self.request("POST", "/v2/hub/team/app/blobs/uploads/", token)
        self.assertEqual(posted.status, 401, posted)
        self.assertEqual(
            posted.challenge()["scope"], "repository:hub/team/app:pull,push"
        )

    def test_scopes_in_one_value(self) -> None:
        """Separated by a space, as the specification has it."""
        both = "repository:hub/nginx:pull repository:quay/org/tool:pull"
        token = self.token("", both)
        self.assertEqual(self.manifest("hub/nginx", token).status, 200)
        self.assertEqual(self.manifest("quay/org/tool", token).status, 200)


class SharedAccountTests(NamespacesTestCase):
    """`anonymous = shared`: regbroker's own account where clients have none."""

    accounts = "accounts = upstream\nanonymous = shared"

    def setUp(self) -> None:
        super().setUp()
        for source in self.sources:
            self.wait_for_challenge(source)

    def wait_for_challenge(self, source: Source) -> None:
        """Until regbroker knows it, it may lend its account to a ping."""
        words = f"[upstream {source.name}]: "
        poll(lambda: words in self.regbroker.log(), "the upstream's challenge")

    def sections(self) -> str:
        self.own_quay = self.own_account("robot", ROBOT)
        return super().sections()

    def test_closed(self) -> None:
        """Everybody pulls at the second with that account, and pushes nothing."""
        alice, nobody = self.make_skopeo("alice"), self.make_skopeo("nobody")
        self.log_in(alice, "alice")
        reference = f"{self.host}/quay/closed/tool:1"
        for client in (alice, nobody):
            self.assertEqual(client.digest_of(reference), self.tool.digest)
            pushed = client.push(self.tool.source, f"{self.host}/quay/org/new:1")
            self.assert_refused(pushed, DENIED)
        # what is not lent is asked for as anybody
        self.assertEqual(self.asked_by(self.quay), {"robot", ""})
        shared = {
            action
            for one in self.quay.token_server.requests()
            for scope in one.scopes
            if one.user == "robot"
            for action in scope.rpartition(":")[2].split(",")
        }
        self.assertEqual(shared, {"pull"})

    def test_own_rights(self) -> None:
        """At the first, who logs in has rights of their own."""
        alice = self.make_skopeo("alice")
        self.log_in(alice, "alice")
        self.assert_done(alice.push(self.tool.source, f"{self.host}/hub/team/new:1"))
        self.assertNotIn("hubrobot", self.asked_by(self.hub))


class BothTrustedTests(NamespacesTestCase):
    """`accounts = upstream: NAME, NAME`: those that clients have accounts at."""

    accounts = "accounts = upstream: dockerhub, quay"
    quay_users = {
        **QUAY,
        "alice": User(ALICE, {"org/*": ALL, "closed/*": ALL}, True),
        "bob": User(BOB, {"org/*": PULL, "closed/*": PULL}),
    }

    @property
    def trusted(self) -> tuple[Source, ...]:
        return self.sources

    def test_per_scope(self) -> None:
        """Who is not asked for, is sent nothing."""
        token = self.token("alice", "repository:hub/team/app:pull,push")
        self.assertEqual(self.manifest("hub/team/app", token).status, 200)
        self.assertNotIn("alice", self.asked_by(self.quay))
        before = len(self.hub.token_server.requests())
        token = self.token("bob", "repository:quay/closed/tool:pull")
        self.assertEqual(self.manifest("quay/closed/tool", token).status, 200)
        asked = self.hub.token_server.requests()[before:]
        self.assertEqual([one.user for one in asked if one.user == "bob"], [])

    def test_copy(self) -> None:
        """skopeo copies from one to the other: the mount becomes an upload."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        for source, target, image in (
            ("hub/team/app:1", "hub/team/copy:1", self.nginx),
            ("hub/nginx:1", "quay/org/copy:1", self.nginx),
            # by now skopeo knows the blobs of both, and offers to mount them
            ("quay/org/copy:1", "hub/team/back:1", self.nginx),
            ("quay/closed/tool:1", "hub/team/tool:1", self.tool),
        ):
            done = skopeo.copy(f"{self.host}/{source}", f"{self.host}/{target}")
            self.assert_done(done)
            digest = skopeo.digest_of(f"{self.host}/{target}")
            self.assertEqual(digest, image.digest, target)

    def test_mount(self) -> None:
        """202, and the upstream was asked for no mount from the other one."""
        token = self.token(
            "alice", "repository:quay/org/copy:pull,push", "repository:hub/nginx:pull"
        )
        layer = self.nginx.layer_digests[0]
        target = f"/v2/quay/org/copy/blobs/uploads/?mount={layer}&from=hub/nginx"
        reply = self.request("POST", target, token)
        self.assertEqual(reply.status, 202, reply)
        location = reply.location()
        self.assertTrue(location.startswith("/v2/quay/org/copy/blobs/uploads/"))
        (posted,) = (one for one in self.quay.requests() if one.method == "POST")
        self.assertNotIn("from=", posted.target)
        self.assertNotIn("mount=", posted.target)
        blob = self.nginx.blob(layer)
        joint = "&" if "?" in location else "?"
        done = self.https.request(
            "PUT", f"{location}{joint}digest={layer}", token, blob
        )
        self.assertEqual(done.status, 201, done)

    def test_mount_within_one(self) -> None:
        """Where both names are one upstream's, it mounts."""
        token = self.token(
            "alice",
            *("repository:quay/org/copy:pull,push", "repository:quay/closed/tool:pull"),
        )
        layer = self.tool.layer_digests[0]
        target = f"/v2/quay/org/copy/blobs/uploads/?mount={layer}&from=quay/closed/tool"
        reply = self.request("POST", target, token)
        self.assertEqual(reply.status, 201, reply)


class CatalogTests(NamespacesTestCase):
    """The lists of both, one after the other."""

    whole = ["hub/library/nginx", "hub/team/app", "quay/closed/tool", "quay/org/tool"]

    def setUp(self) -> None:
        super().setUp()
        self.alice = self.token("alice", "registry:catalog:*")

    def pages(self, target: str) -> list[list[str]]:
        """The names of each page, from link to link."""
        pages: list[list[str]] = []
        while target:
            self.assertLessEqual(len(pages), 10, "the pages never end")
            page = self.request("GET", target, self.alice)
            self.assertEqual(page.status, 200, page)
            pages.append(page.json()["repositories"])
            links = page.all("Link")
            match = re.fullmatch(
                r'<(/v2/_catalog\?[^>]*)>; *rel="next"', "".join(links)
            )
            self.assertEqual(match is None, links == [], f"not relative: {links}")
            target = match[1] if match else ""
        return pages

    def test_whole(self) -> None:
        """Without n."""
        self.assertEqual(self.pages("/v2/_catalog"), [self.whole])

    def test_pages(self) -> None:
        """Pages are full, also where one list ends and the other begins."""
        for size in (1, 2, 3):
            pages = self.pages(f"/v2/_catalog?n={size}")
            full = [page for page in pages if page]
            wanted = [
                self.whole[start : start + size]
                for start in range(0, len(self.whole), size)
            ]
            self.assertEqual(full, wanted, size)
            self.assertLessEqual(len(pages) - len(full), 1, "one empty page at the end")

    def test_last(self) -> None:
        """A list goes on behind a name of either."""
        for index, name in enumerate(self.whole):
            pages = self.pages(f"/v2/_catalog?last={quote(name, safe='')}")
            names = [one for page in pages for one in page]
            self.assertEqual(names, self.whole[index + 1 :], name)

    def test_denied(self) -> None:
        """`catalog = deny` is about its own host."""
        token = self.token("alice", "registry:catalog:*", host=self.plain_host)
        reply = self.request("GET", "/v2/_catalog", token, self.plain_host)
        self.assertEqual(reply.status, 404, reply)
        self.assertEqual(len(reply.error_codes()), 1)


class LocalAccountsTests(NamespacesTestCase):
    """`accounts = NAME`: regbroker's own account at every upstream."""

    accounts = "accounts = staff"

    def sections(self) -> str:
        self.own_hub = self.own_account("hubrobot", ROBOT)
        self.own_quay = self.own_account("robot", ROBOT)
        rights = "**: pull, push, catalog"
        return super().sections() + self.local_accounts("bob", BOB, rights)

    @property
    def trusted(self) -> tuple[Source, ...]:
        return ()

    def test_pull_and_push(self) -> None:
        """bob, whom neither knows, works at both."""
        bob = self.make_skopeo("bob")
        self.log_in(bob, "bob")
        for name, image in (
            ("hub/nginx:1", self.nginx),
            ("hub/team/app:1", self.nginx),
            ("quay/closed/tool:1", self.tool),
        ):
            self.assertEqual(bob.digest_of(f"{self.host}/{name}"), image.digest)
        for name in ("hub/team/new:1", "quay/org/new:1"):
            reference = f"{self.host}/{name}"
            self.assert_done(bob.push(self.tool.source, reference))
            self.assertEqual(bob.digest_of(reference), self.tool.digest)
        self.assertEqual(self.asked_by(self.hub), {"hubrobot"})
        self.assertEqual(self.asked_by(self.quay), {"robot"})
        nobody = self.make_skopeo("nobody").list_tags(f"{self.host}/hub/nginx")
        self.assert_refused(nobody, DENIED)

    def test_mount_between(self) -> None:
        """From one upstream to the other: an upload."""
        token = self.token(
            "bob", "repository:quay/org/copy:pull,push", "repository:hub/nginx:pull"
        )
        layer = self.nginx.layer_digests[0]
        target = f"/v2/quay/org/copy/blobs/uploads/?mount={layer}&from=hub/nginx"
        reply = self.request("POST", target, token)
        self.assertEqual(reply.status, 202, reply)
        gone = self.request("DELETE", reply.location(), token)
        self.assertEqual(gone.status, 204, gone)

    def test_catalog(self) -> None:
        """Both lists, for who may see them."""
        token = self.token("bob", "registry:catalog:*")
        reply = self.request("GET", "/v2/_catalog", token)
        self.assertEqual(reply.json()["repositories"], CatalogTests.whole)
