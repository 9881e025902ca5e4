"""Where listeners are reached."""

from __future__ import annotations

from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.doctor import places
from regbroker.cli.doctor.inherited import Listening
from regbroker.cli.doctor.places import Place, UnknownPlace, place_of
from regbroker.settings.endpoints import listener


class PlaceTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Ports on loopback, where the line names no interface, and sockets."""
        for line, place in (
            ("tcp:8080", Place("127.0.0.1", 8080)),
            ("tls:8443:interface=10.0.0.7", Place("10.0.0.7", 8443)),
            (r"tls:8443:interface=\:\:", Place("::1", 8443)),
            ("proxy:tls:8443:interface=0.0.0.0", Place("127.0.0.1", 8443)),
            ("unix:/run/r.sock:mode=660", Place(PurePath("/run/r.sock"), 80)),
            (r"tls:unix:/run/a\:b", Place(PurePath("/run/a:b"), 443)),
        ):
            self.assertEqual(place_of(listener(line)), place, line)

    def test_unknown(self) -> None:
        """What cannot be known is said with what to do."""
        for line, words in (
            ("tcp:0", "listening on"),
            ("systemd:domain=INET:name=none", "systemctl list-sockets"),
        ):
            with self.assertRaisesRegex(UnknownPlace, words):
                place_of(listener(line))

    def test_inherited(self) -> None:
        """What systemd has handed over is where /proc says."""
        found = Listening("0.0.0.0", 443)
        asked = []

        def inherited(*arguments: object) -> Listening:
            asked.append(arguments)
            return found

        self.patch(places, "inherited", inherited)
        line = listener("tls:systemd:domain=INET:name=web")
        self.assertEqual(place_of(line), Place("127.0.0.1", 443))
        self.assertEqual(asked, [(None, "web", None)])
        found = Listening(path=PurePath("/run/r.sock"))
        self.assertEqual(place_of(line), Place(PurePath("/run/r.sock"), 443))
