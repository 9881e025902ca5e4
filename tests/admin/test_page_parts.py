"""Parts of the status page, as HTML."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.template import Tag, flattenString

from regbroker.admin.page_parts import card, list_of, pill, point_in_time


class PagePartsTests(SynchronousTestCase):
    def html(self, tag: Tag) -> str:
        """What a browser gets."""
        flat: Any = flattenString(None, tag)
        assert isinstance(flat, Deferred)
        html: bytes = self.successResultOf(flat)
        return html.decode()

    def test_card(self) -> None:
        """A heading, the number of things where there is one, and the inside."""
        self.assertEqual(
            self.html(card("Upstreams", "inside", 0)),
            '<section class="card"><h2>Upstreams<span class="count"> · 0</span></h2>'
            "inside</section>",
        )
        self.assertEqual(
            self.html(card("Certificates", "inside")),
            '<section class="card"><h2>Certificates</h2>inside</section>',
        )

    def test_pill(self) -> None:
        """A word with a colour, or without; what it says is text."""
        self.assertEqual(
            self.html(pill("ready", "good")), '<span class="pill good">ready</span>'
        )
        self.assertEqual(self.html(pill("<b>")), '<span class="pill">&lt;b&gt;</span>')

    def test_point_in_time(self) -> None:
        """How long ago for people, the moment in UTC for programs."""
        self.assertEqual(
            self.html(point_in_time(1.8e9, 1.8e9 + 60)),
            '<time datetime="2027-01-15T08:00:00+00:00" '
            'title="2027-01-15T08:00:00+00:00">1 min ago</time>',
        )

    def test_list_of(self) -> None:
        """Each item in its place, or a sentence instead of an empty list."""
        self.assertEqual(
            self.html(list_of(["a", "b"], "none")),
            '<ul class="rows"><li>a</li><li>b</li></ul>',
        )
        self.assertEqual(
            self.html(list_of([], "There are none.")),
            '<p class="empty">There are none.</p>',
        )
