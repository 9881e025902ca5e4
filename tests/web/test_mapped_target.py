"""What a method is to do with a path, and at which upstreams."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import NameUnknown
from regbroker.naming.mapping import NameMapping
from regbroker.protocol.names import Action, parse_path
from regbroker.web.mapped_target import MappedTarget, mapped_target, operation_of
from tests.web.requests import MAPPING, SEVERAL

MANIFEST = "/v2/app/manifests/1.0"


def mapped(method: str, path: str, mapping: NameMapping = SEVERAL) -> MappedTarget:
    """What a method is to do with a path."""
    target = parse_path(path, extensions=True)
    return mapped_target(target, operation_of(target, method, mapping))


class UpstreamsTests(SynchronousTestCase):
    def test_writes(self) -> None:
        """What writes goes to the first alone, and what reads to all."""
        for method, action, upstreams in (
            ("GET", Action.PULL, ("one", "two")),
            ("PUT", Action.PUSH, ("one",)),
            ("DELETE", Action.DELETE, ("one",)),
        ):
            target = mapped(method, MANIFEST)
            self.assertEqual(
                (target.operation.action, target.operation.upstreams),
                (action, upstreams),
            )

    def test_without_a_name(self) -> None:
        """What has no name may go to all that the registry has."""
        target = mapped("GET", "/v2/")
        self.assertEqual(target.operation.upstreams, ("one", "two"))
        self.assertEqual(target.operation.routes, ())
        self.assertEqual(target.at["two"].path, "/v2/")
        self.assertIsNone(target.at["two"].route)

    def test_each_upstream(self) -> None:
        """Each upstream has its own name in path and scopes; the rest stays."""
        target = mapped("GET", MANIFEST)
        one, two = target.at["one"], target.at["two"]
        self.assertEqual(one.path, "/v2/acme_app/manifests/1.0")
        self.assertEqual(two.path, "/v2/cache/app/manifests/1.0")
        self.assertEqual(
            [str(scope) for scope in two.scopes], ["repository:cache/app:pull"]
        )
        self.assertEqual((one.route, two.route), target.operation.routes)
        self.assertEqual((target.path, target.reference), (MANIFEST, "1.0"))

    def test_actions_upstream(self) -> None:
        """What a registry wants a token for; for the end of an upload one more."""
        upload = "/v2/app/blobs/uploads/id"
        for method, path, scope in (
            ("GET", MANIFEST, "pull"),
            ("PUT", MANIFEST, "pull,push"),
            ("DELETE", MANIFEST, "delete"),
            ("PATCH", upload, "pull,push"),
            ("DELETE", upload, "pull,push,delete"),
        ):
            (found,) = mapped(method, path).at["one"].scopes
            self.assertEqual(str(found), f"repository:acme_app:{scope}", method)

    def test_ping(self) -> None:
        """The path by which clients learn how to log in is one, by any method."""
        for method, path, is_ping in (
            ("GET", "/v2/", True),
            ("HEAD", "/v2/", True),
            ("GET", "/v2/_catalog", False),
            ("GET", MANIFEST, False),
        ):
            self.assertEqual(mapped(method, path).operation.is_ping, is_ping)

    def test_leads_to_blobs(self) -> None:
        """A client that gets a manifest asks for blobs next."""
        for method, path, leads in (
            ("GET", MANIFEST, True),
            ("HEAD", MANIFEST, False),
            ("PUT", MANIFEST, False),
            ("GET", "/v2/app/tags/list", False),
        ):
            self.assertEqual(mapped(method, path).operation.leads_to_blobs, leads)

    def test_unknown(self) -> None:
        """A name that leads nowhere is none."""
        with self.assertRaises(NameUnknown):
            mapped("GET", "/v2/other/app/manifests/1", MAPPING)


class ScopesTests(SynchronousTestCase):
    def test_about_everything(self) -> None:
        """An extension without a name is about all repositories, as the catalog is."""
        for path, is_about_everything in (
            ("/v2/_ext/search", True),
            ("/v2/app/_ext/search", False),
            ("/v2/_catalog", False),
        ):
            target = mapped("GET", path)
            self.assertEqual(target.operation.is_about_everything, is_about_everything)
            scopes = [str(scope) for scope in target.operation.scopes]
            catalog = ["registry:catalog:*"]
            is_listing = target.name is None
            self.assertEqual(scopes, catalog if is_listing else ["repository:app:pull"])
