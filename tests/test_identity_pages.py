"""What the pages of identities have to paste fits the examples that they name."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config

ROOT = Path(__file__).resolve().parent.parent

LOGIN = re.compile(
    r"(?:docker|buildah) login -u oidc (?:--password-stdin|-p \S+) (\S+)"
)


class PageTests(SynchronousTestCase):
    def page(self, name: str) -> tuple[str, list[Any]]:
        """A page, and the YAML documents that it shows."""
        text = (ROOT / "docs" / "identities" / f"{name}.md").read_text()
        blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        self.assertTrue(blocks)
        return text, [yaml.safe_load(block) for block in blocks]

    def example(self, text: str) -> Config:
        """The configuration that a page names."""
        (path,) = set(re.findall(r"\(\.\./\.\./(etc/examples/\S+\.ini)\)", text))
        ini = (ROOT / path).read_text()
        return parse_config(ini, PurePath("/"), lambda file: None)

    def assert_fits(self, name: str) -> tuple[list[Any], str]:
        """Hosts of logins and images are the example's; the documents, its audience."""
        text, documents = self.page(name)
        config = self.example(text)
        (registry,) = config.registries
        hosts = set(LOGIN.findall(text))
        self.assertEqual(hosts, {registry.host})
        images = re.findall(r"(?:-t|push) ([a-z.]+)/\S+:\S+", text)
        self.assertTrue(images)
        self.assertEqual(set(images), {registry.host})
        (section,) = registry.identities
        (audience,) = config.identities[section].audience
        return documents, audience

    def test_github_actions(self) -> None:
        """The job may ask for a token, and asks for one with the audience."""
        (workflow,), audience = self.assert_fits("github-actions")
        self.assertEqual(workflow["permissions"]["id-token"], "write")
        (job,) = workflow["jobs"].values()
        runs = "\n".join(step.get("run", "") for step in job["steps"])
        self.assertEqual(re.findall(r"&audience=(\S+?)\"", runs), [audience])
        for name in ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"):
            self.assertIn(f"${name}", runs)

    def test_gitlab_ci(self) -> None:
        """The job lists a token with the audience, and logs in with that."""
        (first, _), audience = self.assert_fits("gitlab-ci")
        (job,) = first.values()
        ((name, token),) = job["id_tokens"].items()
        self.assertEqual(token, {"aud": audience})
        self.assertIn(f'echo "${name}" | docker login', job["script"][0])

    def test_kubernetes(self) -> None:
        """The pod has a token with the audience, where it logs in."""
        (pod,), audience = self.assert_fits("kubernetes")
        (volume,) = pod["spec"]["volumes"]
        (source,) = volume["projected"]["sources"]
        token = source["serviceAccountToken"]
        self.assertEqual(token["audience"], audience)
        # Kubernetes makes none that is shorter.
        self.assertGreaterEqual(token["expirationSeconds"], 600)
        (container,) = pod["spec"]["containers"]
        (mount,) = container["volumeMounts"]
        self.assertEqual(mount["name"], volume["name"])
        path = f"{mount['mountPath']}/{token['path']}"
        self.assertIn(f"< {path}", container["args"][0])
