"""`regbroker doctor` where all is well: docker-registry with a token server behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from .case import USERS, RegbrokerTestCase


class DoctorPullTests(RegbrokerTestCase):
    def examine(self, image: str, user: str, password: str) -> tuple[int, Any]:
        """The exit status and the steps for a pull by a user."""
        # The port was the kernel's choice, so the file does not name it.
        path = self.regbroker.configuration
        text = path.read_text().replace("tls:0:", f"tls:{self.regbroker.port}:")
        path = path.with_name("doctor.ini")
        path.write_text(text)
        finished = subprocess.run(
            [
                *(sys.executable, "-m", "regbroker", "doctor", "--json"),
                *("-c", str(path), "--user", user, image),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | {"REGBROKER_PASSWORD": password},
        )
        self.assertEqual(finished.stderr, "")
        self.assertNotIn(password, finished.stdout)
        return finished.returncode, json.loads(finished.stdout)["steps"]

    def test_pull(self) -> None:
        """Every step of a pull, through regbroker and at the upstream itself."""
        self.put_upstream(self.make_image(), "acme_team/app")
        password = USERS["alice"].password
        image = f"{self.host}/team/app:latest"
        status, steps = self.examine(image, "alice", password)
        self.assertEqual([s for s in steps if not s["ok"]], [])
        self.assertEqual(status, 0)
        for side in ("listen ", "[upstream up] "):
            names = [s["step"] for s in steps if s["side"].startswith(side)]
            for name in (
                "TCP",
                "TLS",
                "ping",
                "challenge",
                "token",
                "manifest",
                "blob",
            ):
                self.assertIn(name, names)

    def test_wrong(self) -> None:
        """A wrong password, a missing tag, a missing right: on both sides the same."""
        self.put_upstream(self.make_image(), "acme_team/app")
        password = USERS["alice"].password
        for image, given, step, words in (
            (
                "team/app:latest",
                "never-one",
                "token",
                "the user or the password is wrong",
            ),
            ("team/app:none", password, "manifest", "no manifest none"),
        ):
            status, steps = self.examine(f"{self.host}/{image}", "alice", given)
            failed = [each for each in steps if not each["ok"]]
            self.assertEqual(status, 1)
            self.assertEqual([each["step"] for each in failed], [step] * 2, failed)
            for each in failed:
                self.assertIn(words, each["problem"])
