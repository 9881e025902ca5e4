"""A front for Docker Hub with all that it may need, at once.

Two registries with token services of their own, of which the first sends its clients
to a storage that takes no Authorization; names without a namespace; and a first one
that fails while clients pull.
"""

from __future__ import annotations

from collections.abc import Callable

from .fronts_case import PULL, FrontsTestCase, Source
from .peers.nginx import Nginx
from .peers.processes import poll
from .peers.token_server import User

SECTIONS = """\
[registry localhost]
upstream = hub, spare
redirects = follow
writes = deny
catalog = deny
namespaces =
    * = *
    * = spare:mirror/*

[registry 127.0.0.1]
redirects = follow
namespaces =
    hub/* = hub:*
    hub/* = spare:mirror/*

"""

HUB_LINES = """\
default-namespace = library
redirect-hosts = 127.0.0.1
answer-timeout = 1
"""

ANYBODY = {"": User("", {"*": PULL})}


class HubFrontTests(FrontsTestCase):
    """skopeo pulls by each of the names that an image has."""

    def setUp(self) -> None:
        super().setUp()
        self.storage = Nginx(
            self.directory / "storage",
            self.source_directory("hub") / "blobs",
            self.authority,
        )
        self.addCleanup(self.storage.stop)
        self.storage.start()
        self.hub = self.start_source(
            "hub", ANYBODY, "library/", redirect_to=self.storage.url
        )
        self.spare = self.start_source("spare", ANYBODY, "mirror/library/")
        self.image = self.make_image()
        self.hub.put(self.image, "library/nginx", "1")
        self.spare.put(self.image, "mirror/library/nginx", "1")
        self.start_regbroker(
            SECTIONS
            + self.hub.section(self.root, HUB_LINES)
            + self.spare.section(self.root)
        )
        below = f"127.0.0.1:{self.regbroker.port}"
        self.references = [
            f"{self.host}/nginx:1",
            f"{self.host}/library/nginx:1",
            f"{below}/hub/library/nginx:1",
            f"{below}/hub/nginx:1",
        ]
        self.pulls = 0

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.hub, self.spare

    def pull(self, reference: str) -> None:
        """Pull an image, every byte of it."""
        self.pulls += 1
        pulled = self.directory / f"pulled-{self.pulls}"
        skopeo = self.make_skopeo(f"skopeo-{self.pulls}")
        self.assert_done(skopeo.pull(reference, f"dir:{pulled}"))
        for digest in (self.image.config_digest, *self.image.layer_digests):
            blob = (pulled / digest.removeprefix("sha256:")).read_bytes()
            self.assertEqual(blob, self.image.blob(digest), reference)

    def stored(self) -> int:
        """How many requests the storage has seen; none had an Authorization."""
        seen = self.storage.seen()
        self.assertEqual({one.authorization for one in seen} - {""}, set())
        return len(seen)

    def test_all_names(self) -> None:
        """By its short name and its whole one, alone and below a namespace."""
        for reference in self.references:
            self.pull(reference)
        poll(lambda: self.stored() >= 4 * 2, "the storage's log")
        self.assertEqual(self.spare.served(), 0)

    def test_first_fails(self) -> None:
        """While the first fails, each in its way, the second has them all."""
        moody = self.hub.moody
        for fail in (
            lambda: moody.answer(429, retry_after=1),
            lambda: moody.answer(503),
            moody.silence,
            moody.pass_on,
        ):
            fail()
            for reference in self.references:
                self.pull(reference)
        self.assertGreater(self.spare.served(), 0)
        before = self.hub.served()
        poll(self.pulled_from_hub(before), "the first, asked again")

    def test_storage_fails(self) -> None:
        """A storage that is gone is the first one's trouble: the second serves."""
        self.storage.stop()
        for reference in self.references:
            self.pull(reference)
        manifests = [one for one in self.hub.requests() if "/manifests/" in one.target]
        # The first has not been given a rest for it: each pull asked it first.
        self.assertEqual(len({*self.references}), len(manifests))

    def pulled_from_hub(self, before: int) -> Callable[[], bool]:
        """Whether a pull has reached the first upstream's registry again."""

        def ready() -> bool:
            self.pull(self.references[0])
            return self.hub.served() > before

        return ready
