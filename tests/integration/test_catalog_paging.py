"""A catalog of many pages, however the upstream pages it, read by podman."""

from __future__ import annotations

from tests.listing import Listing

from .accounts_case import UPSTREAM, AccountsTestCase
from .peers.moody import Moody

REGISTRY = """\
[registry localhost]
upstream = up
namespaces =
    team = acme_team

"""

SERVED = [f"acme_team/app{number:03}" for number in range(130)]
OTHERS = [f"other/app{number:03}" for number in range(70)]


class CatalogPagingTests(AccountsTestCase):
    """130 repositories that are served, among others that are not."""

    def setUp(self) -> None:
        super().setUp()
        self.start_registry()
        self.front = Moody(self.authority, self.registry.port)
        self.addCleanup(self.front.stop)
        upstream = UPSTREAM.format(
            url=self.front.url, upstream=f"ca-file = {self.ca_file}"
        )
        self.use(self.start_local(REGISTRY + upstream))
        self.podman = self.make_podman()
        self.podman.trust(self.host)

    def assert_all_found(self, catalog: Listing) -> None:
        """podman finds each of them once."""
        self.front.catalog = catalog
        found = self.podman.search(f"{self.host}/", limit=1000)
        expected = [name.replace("acme_team", f"{self.host}/team") for name in SERVED]
        self.assertEqual(found, expected)

    def test_by_name(self) -> None:
        """As distribution does it, also where fewer may be asked for."""
        self.assert_all_found(Listing(SERVED + OTHERS, "last", size=50, most=100))

    def test_quay(self) -> None:
        """By a token of its own."""
        self.assert_all_found(Listing(SERVED + OTHERS, "token", size=50))

    def test_ecr(self) -> None:
        """By a token that is called `last`, and refused when it is made anew."""
        self.assert_all_found(Listing(SERVED + OTHERS, "own-last", size=50))
