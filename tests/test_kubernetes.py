"""The files in etc/kubernetes fit each other, the configuration and the image."""

import re
from configparser import ConfigParser
from pathlib import Path, PurePath
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.credential_provider import API_VERSION
from regbroker.settings.ini import parse_config
from regbroker.settings.warnings import warnings

ROOT = Path(__file__).resolve().parents[1]


class ManifestTests(SynchronousTestCase):
    def setUp(self) -> None:
        text = (ROOT / "etc" / "kubernetes" / "regbroker.yaml").read_text()
        objects: list[dict[str, Any]] = list(yaml.safe_load_all(text))
        self.objects = {each["kind"]: each for each in objects}
        self.spec = self.objects["Deployment"]["spec"]["template"]["spec"]
        (self.container,) = self.spec["containers"]
        ini = self.objects["ConfigMap"]["data"]["regbroker.ini"]
        self.files: list[PurePath] = []

        def note(path: PurePath) -> None:
            self.files.append(path)

        self.config = parse_config(ini, PurePath("/etc/regbroker"), note)

    def test_configuration(self) -> None:
        """The configuration can be served, and everything in it has an effect."""
        self.assertEqual(list(warnings(self.config, lambda name: name)), [])

    def test_files(self) -> None:
        """Each file that the configuration names is mounted."""
        (volume,) = (v for v in self.spec["volumes"] if v["name"] == "configuration")
        mounted = {
            f"/etc/regbroker/{item['path']}"
            for source in volume["projected"]["sources"]
            for item in source.get("secret", {}).get("items", ())
        }
        self.assertEqual({str(path) for path in self.files}, mounted)
        mounts = {m["mountPath"]: m for m in self.container["volumeMounts"]}
        self.assertTrue(mounts["/etc/regbroker"]["readOnly"])
        self.assertIn(str(self.config.state_directory), mounts)

    def test_ports(self) -> None:
        """The ports of the container are those that regbroker listens on."""
        ports = {
            each["name"]: each["containerPort"] for each in self.container["ports"]
        }
        ini = self.objects["ConfigMap"]["data"]["regbroker.ini"]
        self.assertIn(f"\nlisten = tls:{ports['https']}\n", ini)
        self.assertIn(f"\nadmin-listen = public:tcp:{ports['admin']}\n", ini)
        (public,) = self.objects["Service"]["spec"]["ports"]
        self.assertEqual(public["targetPort"], "https")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertEqual(self.container[probe]["httpGet"]["port"], "admin")

    def test_time_to_be_ready(self) -> None:
        """The probe waits longer than `/ready` does for upstreams that are silent."""
        probe = self.container["readinessProbe"]
        for upstream in self.config.upstreams.values():
            self.assertGreater(probe["timeoutSeconds"], upstream.answer_timeout)

    def test_user(self) -> None:
        """The pod runs as the user that the image has."""
        containerfile = (ROOT / "etc" / "container" / "Containerfile").read_text()
        user, group = re.findall(r"^USER (\d+):(\d+)$", containerfile, re.MULTILINE)[0]
        context = self.spec["securityContext"]
        self.assertEqual(
            (context["runAsUser"], context["runAsGroup"], context["fsGroup"]),
            (int(user), int(group), int(group)),
        )

    def test_time_to_stop(self) -> None:
        """The pod is killed later than draining ends."""
        pause = self.container["lifecycle"]["preStop"]["sleep"]["seconds"]
        self.assertGreater(
            self.spec["terminationGracePeriodSeconds"],
            pause + self.config.drain_timeout,
        )

    def test_selectors(self) -> None:
        """Service and budget are about the pods of the deployment."""
        labels = self.objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(self.objects["Service"]["spec"]["selector"], labels)
        for kind in ("Deployment", "PodDisruptionBudget"):
            selector = self.objects[kind]["spec"]["selector"]["matchLabels"]
            self.assertEqual(selector, labels)


class CredentialProviderTests(SynchronousTestCase):
    """The files for pods that pull with their service account."""

    def setUp(self) -> None:
        directory = ROOT / "etc" / "kubernetes"
        config = yaml.safe_load((directory / "credential-provider.yaml").read_text())
        self.config = config
        (self.provider,) = config["providers"]
        rbac = (directory / "credential-provider-rbac.yaml").read_text()
        self.role, self.binding = yaml.safe_load_all(rbac)

    def test_program(self) -> None:
        """The kubelet finds the program that we install, and they speak one version."""
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        scripts = setup["options.entry_points"]["console_scripts"].splitlines()
        names = [line.partition(" = ")[0] for line in scripts]
        self.assertIn(self.provider["name"], names)
        self.assertEqual(self.provider["apiVersion"], API_VERSION)
        self.assertEqual(
            (self.config["apiVersion"], self.config["kind"]),
            ("kubelet.config.k8s.io/v1", "CredentialProviderConfig"),
        )

    def test_token(self) -> None:
        """The kubelet sends a token, and keeps what it gets for that token alone."""
        attributes = self.provider["tokenAttributes"]
        self.assertEqual(attributes["cacheType"], "Token")
        self.assertIs(attributes["requireServiceAccount"], True)
        self.assertEqual(
            [attributes["serviceAccountTokenAudience"]], self.provider["matchImages"]
        )

    def test_rights(self) -> None:
        """Kubelets may ask for the token that they are to send."""
        (rule,) = self.role["rules"]
        audience = self.provider["tokenAttributes"]["serviceAccountTokenAudience"]
        self.assertEqual(rule["resources"], [audience])
        self.assertEqual(rule["verbs"], ["request-serviceaccounts-token-audience"])
        self.assertEqual(self.binding["roleRef"]["name"], self.role["metadata"]["name"])
        self.assertEqual(self.binding["subjects"][0]["name"], "system:nodes")
