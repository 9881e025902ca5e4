"""Jobs push with a JWT; upstream, everything is done by an account of our own."""

from __future__ import annotations

import json
from typing import Any

from .case import ALL
from .identity_case import SteeredTestCase
from .peers.docker_registry import DockerRegistry, Tokens
from .peers.processes import poll
from .peers.token_server import ISSUER, SERVICE, TokenServer, User

ROBOT, ROBOT_PASSWORD = "robot", "robot's sécret + more"

HELPER = """\
#!/bin/sh
# docker-credential-ours: what a file says
exec cat {answer}
"""


class OwnAccountTestCase(SteeredTestCase):
    """The upstream has a token service, which knows one user."""

    def start_registry(self, *arguments: Any, **named: Any) -> None:
        super().start_registry()
        self.registry.stop()
        self.add_secret(ROBOT_PASSWORD)
        robot = User(ROBOT_PASSWORD, {"acme_team/*": ALL}, True)
        self.token_server = TokenServer(self.authority, {ROBOT: robot})
        self.addCleanup(self.token_server.stop)
        self.registry = DockerRegistry(
            self.directory / "upstream",
            self.authority,
            Tokens(self.token_server.realm, SERVICE, ISSUER),
        )
        self.addCleanup(self.registry.stop)
        self.registry.start()

    def start_regbroker(self) -> None:
        self.use(self.start_local(self.sections(upstream=self.own_account())))

    def own_account(self) -> str:
        """Lines of the upstream's section."""
        raise NotImplementedError

    def assert_pushes(self) -> None:
        """A job pushes, pulls, and is refused elsewhere; its token goes nowhere."""
        skopeo, image, job = self.make_skopeo(), self.make_image(), self.job()
        self.assert_done(skopeo.login(self.host, "oidc", job))
        reference = f"{self.host}/team/acme/app/x:1"
        self.assert_done(skopeo.push(image.source, reference))
        self.assertEqual(skopeo.digest_of(reference), image.digest)
        beyond = skopeo.push(image.source, f"{self.host}/team/acme/other:1")
        self.assert_refused(beyond, "denied|unauthorized|authentication required")
        self.upstream_requests_until("/v2/acme_team/acme/app/x/manifests/1")
        asked = self.token_server.requests()
        self.assertEqual({request.user for request in asked}, {ROBOT})
        signature = job.rpartition(".")[2]
        seen = [request.secret for request in asked]
        seen += [access.target for access in self.registry.requests()]
        self.assertEqual([text for text in seen if signature in text], [])
        self.assertNotIn("acme/other", str(asked))

    def audited(self, **wanted: str) -> list[dict[str, Any]]:
        """The lines of the audit log with these fields."""
        lines = (self.directory / "audit.log").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return [e for e in entries if all(e.get(n) == v for n, v in wanted.items())]


class PasswordTests(OwnAccountTestCase):
    """Our own account has a password, in a file."""

    @property
    def main(self) -> str:  # type: ignore[override]
        """With an audit log."""
        return f"audit-log = {self.directory}/audit.log"

    def own_account(self) -> str:
        path = self.directory / "robot.password"
        path.touch(mode=0o600)
        path.write_text(ROBOT_PASSWORD)
        return f"username = {ROBOT}\npassword-file = {path}"

    def test_push(self) -> None:
        """The audit log names the issuer, the subject, and the claims that decided."""
        self.assert_pushes()
        said = {"user": "ci:acme/app", "identity": "ci", "issuer": self.issuer.issuer}
        pushes: list[dict[str, Any]] = []

        def is_told() -> bool:
            pushes[:] = self.audited(action="push", outcome="accepted", **said)
            return bool(pushes)

        poll(is_told, "the push in the audit log")
        (push,) = pushes
        self.assertEqual(push["subject"], "repo:acme/app:ref:refs/heads/main")
        self.assertEqual(push["repository"], "team/acme/app/x")
        self.assertEqual(
            json.loads(push["claims"]),
            {
                "ref": "refs/heads/main",
                "repository": "acme/app",
                "repository_owner": "acme",
            },
        )


class HelperTests(OwnAccountTestCase):
    """Our own account is what a credential helper says."""

    def own_account(self) -> str:
        answer = self.directory / "answer"
        answer.write_text(
            json.dumps(
                {
                    "ServerURL": self.registry.host,
                    "Username": ROBOT,
                    "Secret": ROBOT_PASSWORD,
                }
            )
        )
        program = self.directory / "bin" / "docker-credential-ours"
        program.parent.mkdir()
        program.write_text(HELPER.format(answer=answer))
        program.chmod(0o755)
        return "credential-helper = ours"

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.directory}/bin:/usr/bin:/bin"}

    def test_push(self) -> None:
        """It is the same for jobs."""
        self.assert_pushes()
