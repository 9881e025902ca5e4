"""What tests of ``regbroker token`` share."""

import json
import time
from pathlib import Path
from typing import Any

from regbroker.accounts.key_file import make_key
from regbroker.accounts.robot_tokens import PREFIX
from regbroker.accounts.signing import SigningKeys, TokenSigner
from regbroker.accounts.tokens import RobotToken
from tests.accounts.hashes import BCRYPT
from tests.cli.case import CommandCase

HOST = "registry.example.com"
CONFIG = """\
[regbroker]
state-directory = state
revoked-tokens = revoked
{main}
[registry registry.example.com]
upstream = up
namespaces =
    * = *
accounts = staff
robot-tokens = yes
{registry}
[upstream up]
url = http://127.0.0.1:5000
[accounts staff]
htpasswd = users
robots =
    deploy
    ci
[access staff]
deploy =
    team/**: pull, push
    lib/**: pull
@ops = **: pull
alice = home/**: pull
"""


class TokenCase(CommandCase):
    """A configuration with robots, a signing key, and the files that it names."""

    main = "robot-token-list = list"
    registry = ""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        make_key(self.directory / "state")
        (self.directory / "users").write_text(f"alice:{BCRYPT}\n")
        self.revoked = self.directory / "revoked"
        self.revoked.write_text("")
        self.list = self.directory / "list"
        self.path = self.directory / "regbroker.ini"
        self.path.write_text(CONFIG.format(main=self.main, registry=self.registry))

    def create(self, *more: str, user: str = "deploy") -> tuple[int, str, str]:
        """Make a token, by default a good one."""
        given = more or ("--rights", "team/**: pull", "--expires", "90d")
        return self.token("create", "--user", user, *given)

    def token(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """Run one of the commands; what `run_command` returns."""
        return self.run_command("token", command, "-c", str(self.path), *arguments)

    def made(self, *more: str) -> tuple[str, RobotToken]:
        """A new token, and what it says."""
        status, out, err = self.create(*more)
        self.assertEqual(status, 0, err)
        text = out.removesuffix("\n")
        keys = SigningKeys(self.directory / "state" / "token-key.pem", time.time)
        signer = TokenSigner(keys, f"regbroker {HOST}", time.time)
        return text, signer.check_robot(text.removeprefix(PREFIX), HOST)

    def listed(self) -> list[dict[str, Any]]:
        """What the list shows as JSON."""
        status, out, _ = self.token("list", "--json")
        self.assertEqual(status, 0)
        documents: list[dict[str, Any]] = json.loads(out)
        return documents
