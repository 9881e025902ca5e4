"""What the operator reads about a request."""

from __future__ import annotations

from .case import RegbrokerTestCase
from .peers.processes import poll


class LogTests(RegbrokerTestCase):
    """One line for each request; that it keeps secrets is held in every test."""

    def lines(self, *words: str) -> list[str]:
        """The log's lines that have all these words, once there is one."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [
                line
                for line in self.regbroker.log().splitlines()
                if all(word in line for word in words)
            ]
            return bool(found)

        poll(look, f"a line with {words}")
        return found

    def test_relayed(self) -> None:
        """Both names, the user, the registry and the upstream stand in one line."""
        alice = self.token("alice", "repository:team/app:pull")
        self.https.request("GET", "/v2/team/app/manifests/none", alice)
        lines = self.lines("/v2/team/app/manifests/none")
        self.assertEqual(len(lines), 1, lines)
        for word in ("alice", "127.0.0.1", "localhost", "acme_team/app", "404", "GET"):
            self.assertIn(word, lines[0])

    def test_refused(self) -> None:
        """A request that went nowhere has a line too."""
        self.https.request("GET", "/v2/elsewhere/app/manifests/1")
        lines = self.lines("/v2/elsewhere/app/manifests/1")
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("404", lines[0])
