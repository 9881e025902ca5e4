"""Robot tokens with real clients: made by the command, used, and revoked meanwhile."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from .accounts_case import ACCOUNTS, RIGHTS, BareRegistryTestCase
from .peers.processes import poll
from .test_accounts import REFUSAL

ROBOTS = """\
deploy = team/**: pull, push
"""


class RobotTokenTests(BareRegistryTestCase):
    """Two workers, so that each has to hear of what is revoked."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()

    @property
    def main(self) -> str:  # type: ignore[override]
        """What robot tokens need."""
        return (
            f"workers = 2\nrevoked-tokens = {self.revoked}\n"
            f"robot-token-list = {self.directory}/robots\n"
            f"audit-log = {self.directory}/audit.log"
        )

    @property
    def revoked(self) -> Path:
        """The file of revoked ids."""
        return self.directory / "revoked"

    def sections(self, **lines: Any) -> str:
        """Robots beside the accounts of people."""
        accounts = ACCOUNTS.format(htpasswd=self.htpasswd.path, rights=RIGHTS + ROBOTS)
        accounts = accounts.replace("[access", "robots = deploy\n\n[access")
        return super().sections(registry="robot-tokens = yes", accounts=accounts)

    def start_regbroker(self) -> None:
        """Start it with nothing revoked."""
        self.revoked.touch()
        super().start_regbroker()

    def command(self, name: str, *arguments: str) -> str:
        """What ``regbroker token`` prints."""
        path = str(self.regbroker.configuration)
        done = subprocess.run(
            [sys.executable, "-m", "regbroker", "token", name, "-c", path, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def create(self, rights: str = "team/**: pull, push") -> str:
        """A new token of deploy."""
        given = ("--user", "deploy", "--rights", rights, "--expires", "1d")
        text = self.command("create", *given).removesuffix("\n")
        self.add_secret(text)
        return text

    def newest(self) -> dict[str, Any]:
        """What the list says of the token that was made last."""
        document: dict[str, Any] = json.loads(self.command("list", "--json"))[-1]
        return document

    def audited(self, **wanted: str) -> list[dict[str, Any]]:
        """The lines of the audit log with these fields."""
        lines = (self.directory / "audit.log").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return [e for e in entries if all(e.get(n) == v for n, v in wanted.items())]

    def test_skopeo(self) -> None:
        """It pushes and pulls what its rights say, until it is revoked."""
        skopeo, password = self.make_skopeo(), self.create()
        self.assert_done(skopeo.login(self.host, "deploy", password))
        reference = f"{self.host}/team/app:1"
        self.assert_done(skopeo.push(self.image.source, reference))
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        beyond = skopeo.push(self.image.source, f"{self.host}/home/deploy/app:1")
        self.assert_refused(beyond, REFUSAL)
        token = self.newest()
        self.assertEqual(token["state"], "valid")
        told = {"outcome": "accepted", "token": token["id"]}
        poll(
            lambda: bool(self.audited(action="push", user="deploy", **told)),
            "the push in the audit log",
        )
        bearer = self.token_of(password)
        self.assertEqual(self.get("/v2/team/app/tags/list", bearer).status, 200)

        self.command("revoke", token["id"])
        # Either worker may be asked: both have to have heard of it.
        poll(
            lambda: (
                {self.get("/v2/team/app/tags/list", bearer).status for _ in range(8)}
                == {401}
            ),
            "the end of tokens that were issued for it",
        )
        refused = skopeo.login(self.host, "deploy", password)
        self.assert_refused(refused, "invalid username/password")
        reason = "a robot token is not good: it is revoked"
        told = {"outcome": "refused", "reason": reason, "token": token["id"]}
        poll(
            lambda: bool(self.audited(action="login", user="deploy", **told)),
            "the refusal in the audit log",
        )
        self.assertEqual(self.newest()["state"], "revoked")

    def token_of(self, password: str) -> dict[str, str]:
        """The Authorization with a token of ours that a robot token gets."""
        scope = "repository:team/app:pull"
        reply = self.ask_token("deploy", scope, password=password)
        self.assertEqual(self.granted(reply), {"repository:team/app": ["pull"]})
        self.assertNotIn("refresh_token", reply.json())
        return {"Authorization": f"Bearer {reply.json()['token']}"}

    def test_podman(self) -> None:
        """A token that may only pull logs in with podman, and pulls."""
        self.put_upstream(self.image, "acme_team/app:1")
        podman = self.make_podman()
        podman.trust(self.host)
        password = self.create("team/app: pull")
        self.assert_done(podman.login(self.host, "deploy", password))
        reference = f"{self.host}/team/app:1"
        self.assert_done(podman.pull(reference))
        pushed = podman.run("push", reference, f"docker://{self.host}/team/app:2")
        self.assert_refused(pushed, REFUSAL)

    def test_never_locks_out(self) -> None:
        """However often a robot token is refused, its user can log in."""
        password = self.create()
        for _ in range(40):
            reply = self.ask_token("alice", password=password)
            self.assertEqual(reply.status, 401)
            self.assertIsNone(re.search("deploy|token", str(reply.json()["errors"])))
        self.assertEqual(self.ask_token("alice").status, 200)
        self.assertEqual(self.ask_token("deploy", password=password).status, 200)
