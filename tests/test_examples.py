"""The examples are complete and can be read."""

import re
from dataclasses import replace
from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.narrowing import parse_rights, wider
from regbroker.accounts.principals import Account
from regbroker.assembly.rights_report import unmet_expectations
from regbroker.assembly.vouched import vouched
from regbroker.errors import NameUnknown
from regbroker.settings.config import (
    Config,
    HtpasswdConfig,
    LdapConfig,
    RegistryConfig,
    RobotsConfig,
)
from regbroker.settings.ini import parse_config
from regbroker.settings.warnings import warnings
from tests.issuers import GITHUB_CLAIMS, GITLAB_CLAIMS
from tests.toml_file import load_toml

EXAMPLES = Path(__file__).resolve().parents[1] / "etc" / "examples"


def load(name: str) -> Config:
    """Read an example, as if the files that it names were there."""
    path = EXAMPLES / f"{name}.ini"
    return parse_config(path.read_text(), PurePath(path.parent), lambda file: None)


def leads(registry: RegistryConfig, name: str) -> list[str]:
    """Where a name leads, in the order in which it is asked for there."""
    routes = registry.mapping.routes(name)
    return [f"{route.upstream}:{route.upstream_name}" for route in routes]


def readme() -> list[str]:
    """The ini files in README.md."""
    text = (EXAMPLES.parent.parent / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```ini\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class ReadmeTests(SynchronousTestCase):
    def test_each_is_right(self) -> None:
        """What stands in README.md has no problems, and no warnings."""
        examples = readme()
        self.assertGreater(len(examples), 1)
        for text in examples:
            config = parse_config(text, PurePath("/"), lambda file: None)
            self.assertEqual(list(warnings(config, lambda name: name)), [])

    def test_accounts(self) -> None:
        """The rights are those of the users that the file has."""
        config = parse_config(readme()[-1], PurePath("/"), lambda file: None)
        rules = config.registries[0].access
        assert rules is not None
        bob, alice = Account("bob"), Account("alice")
        self.assertTrue(rules.allows(bob, "delete", "any/thing"))
        self.assertTrue(rules.allows(alice, "push", "team/app"))
        self.assertTrue(rules.allows(alice, "push", "alice/app"))
        self.assertFalse(rules.allows(alice, "push", "bob/app"))


class ExampleTests(SynchronousTestCase):
    """Each says what its first lines promise."""

    def test_each_is_tested(self) -> None:
        """No example is left out here."""
        tested = {
            name.removeprefix("test_").replace("_", "-")
            for name in dir(self)
            if name.startswith("test_")
        }
        self.assertEqual({path.stem for path in EXAMPLES.glob("*.ini")} - tested, set())

    def assert_vouched(
        self, example: str, claims: dict[str, object], rights: dict[str, str]
    ) -> None:
        """An issuer's account has these actions for these names."""
        config = load(example)
        self.assertEqual(list(warnings(config, lambda name: name)), [])
        (registry,) = config.registries
        rules = registry.access
        assert rules is not None
        identity = config.identities[registry.identities[0]]
        for condition in identity.required_claims:
            self.assertTrue(condition.holds(claims, frozenset()), condition)
        identity.user.name(claims)
        account = Account("x", identity=identity.name, claims=claims)
        for name, actions in rights.items():
            allowed = [
                each
                for each in ("pull", "push", "delete")
                if rules.allows(account, each, name)
            ]
            self.assertEqual(" ".join(allowed), actions, name)

    def test_github_actions(self) -> None:
        """Jobs push what main has, below their repository's name."""
        claims: dict[str, object] = {**GITHUB_CLAIMS, "repository": "Acme/App"}
        rights = {"base/x": "pull", "acme/app": "pull push", "acme/app/x": "pull push"}
        others = {"public/app": "", "acme/other": "", "other": ""}
        self.assert_vouched("github-actions", claims, rights | others)
        release = {**claims, "environment": "release"}
        self.assert_vouched("github-actions", release, {"public/app": "pull push"})
        # A pull request from a fork, with the rights of the repository.
        fork = {**release, "event_name": "pull_request_target"}
        rights = {"acme/app": "", "base/x": "pull", "public/app": ""}
        self.assert_vouched("github-actions", fork, rights)
        evil = {**claims, "repository_owner_id": "66"}
        with self.assertRaises(AssertionError):
            self.assert_vouched("github-actions", evil, {})

    def test_gitlab_ci(self) -> None:
        """Protected branches push below their project's path."""
        claims: dict[str, object] = dict(GITLAB_CLAIMS)
        rights = {"base/x": "pull", "acme/app/x": "pull push", "public/app": ""}
        self.assert_vouched("gitlab-ci", claims, rights)
        claims["environment_protected"] = "true"
        self.assert_vouched("gitlab-ci", claims, {"public/app": "pull push"})
        claims["ref_protected"] = "false"
        self.assert_vouched("gitlab-ci", claims, {"acme/app": "", "base/x": "pull"})

    def test_one_login_for_several(self) -> None:
        """
        Where ``ns`` would send one login to several token services, they say so.

        docs/operating.md has it as "Mirrors without logins".
        """
        names = []
        for path in EXAMPLES.glob("*.ini"):
            config = load(path.stem)
            mirrors = [
                entry.trusted_upstreams
                for entry in config.registries
                if entry.host in config.mirrors.values() and entry.accounts is None
            ]
            if len(set(mirrors)) > 1:
                names.append(path.stem)
                text = " ".join(path.read_text().split())
                self.assertIn("without logins", text, path.stem)
                self.assertIn('("accounts = NAME")', text, path.stem)
        self.assertEqual(sorted(names), ["containerd-mirror", "many-registries"])

    def test_htpasswd_registry(self) -> None:
        """Local accounts from a file; rights of users, of all, of anybody."""
        config = load("htpasswd-registry")
        (registry,) = config.registries
        self.assertEqual(registry.accounts, "staff")
        (source,) = config.accounts["staff"].sources
        self.assertEqual(
            source, HtpasswdConfig(path=PurePath("/etc/regbroker/htpasswd"))
        )
        assert registry.access is not None
        self.assertTrue(registry.access.allows(None, "pull", "library/nginx"))
        self.assertFalse(registry.access.allows(None, "pull", "team/app"))

    def test_rights(self) -> None:
        """The rights are those that the tests expect, whose file the example names."""
        names = [path.stem for path in EXAMPLES.glob("*-rights.txt")]
        self.assertGreater(len(names), 1)
        for name in names:
            path = EXAMPLES / f"{name}.txt"
            example = name.removesuffix("-rights")
            text = (EXAMPLES / f"{example}.ini").read_text()
            self.assertIn(f"; tests = {path.name}\n", text)
            config = load(example)
            (registry,) = config.registries
            tested = replace(registry, tests=PurePath(path))
            problems = unmet_expectations(replace(config, registries=(tested,)))
            self.assertEqual(list(problems), [])

    def test_kubernetes_pods(self) -> None:
        """The audience is what the credential provider's configuration asks for."""
        config = load("kubernetes-pods")
        cluster = config.identities["cluster"]
        directory = EXAMPLES.parent / "kubernetes"
        provider = (directory / "credential-provider.yaml").read_text()
        (audience,) = cluster.audience
        self.assertIn(f"serviceAccountTokenAudience: {audience}\n", provider)
        self.assertEqual(list(warnings(config, lambda name: name)), [])
        claims = {
            "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "web"}}
        }
        self.assertEqual(vouched(cluster, claims)[0].user, "pod:shop/web")

    def test_robot_tokens(self) -> None:
        """Users without a password, who have rights and can log in."""
        config = load("robot-tokens")
        (registry,) = config.registries
        self.assertTrue(registry.robot_tokens)
        self.assertEqual(
            config.accounts["staff"].sources[1],
            RobotsConfig(users=("deploy", "cluster")),
        )
        rules = registry.access
        assert rules is not None
        rights = parse_rights(["team/**: pull, push"])
        self.assertEqual(list(wider(rights, rules, Account("deploy"))), [])
        self.assertNotEqual(list(wider(rights, rules, Account("cluster"))), [])
        self.assertEqual(list(warnings(config, lambda name: name)), [])

    def test_ldap_nexus(self) -> None:
        """A directory with groups, and an account of regbroker's own."""
        config = load("ldap-nexus")
        (source,) = config.accounts["directory"].sources
        assert isinstance(source, LdapConfig)
        self.assertEqual(source.url.host, "dir.example.com")
        self.assertEqual(source.url.attribute, "uid")
        self.assertEqual(source.group_base, "ou=groups,dc=example,dc=com")
        self.assertEqual(config.upstreams["nexus"].username, "regbroker")

    def test_behind_balancer(self) -> None:
        """Plain listeners, one with PROXY lines; the public URL is written down."""
        config = load("behind-balancer")
        self.assertEqual(
            [(entry.tls, entry.proxy_protocol) for entry in config.listen],
            [(False, False), (False, True)],
        )
        (registry,) = config.registries
        self.assertEqual(str(registry.public_url), "https://registry.example.com")
        assert config.denied_user_agents is not None
        self.assertTrue(config.denied_user_agents.match("docker/1.5.0 go/1.4"))
        self.assertFalse(config.denied_user_agents.match("docker/1.10.3"))

    def test_shared_credentials(self) -> None:
        """The upstream's accounts, and ours shared for pulls."""
        config = load("shared-credentials")
        (registry,) = config.registries
        self.assertIsNone(registry.accounts)
        self.assertEqual(registry.shared_actions, {"pull"})
        self.assertEqual(config.upstreams["ecr"].credential_helper, "ecr-login")

    def test_docker_hub(self) -> None:
        """Docker Hub's names, without a namespace, too; nothing is written."""
        config = load("docker-hub")
        (registry,) = config.registries
        for name in ("nginx", "library/nginx"):
            self.assertEqual(leads(registry, name), ["hub:library/nginx"])
        self.assertEqual(leads(registry, "grafana/grafana"), ["hub:grafana/grafana"])
        self.assertEqual(registry.trusted_upstreams, ("hub",))
        self.assertIsNone(registry.accounts)
        self.assertEqual(
            (registry.redirects, registry.catalog, registry.writes),
            ("follow", "deny", "deny"),
        )
        hub = config.upstreams["hub"]
        self.assertEqual(str(hub.origin), "https://registry-1.docker.io")
        self.assertEqual(hub.search_url, "https://index.docker.io/v1")

    def test_docker_hub_second_source(self) -> None:
        """The same names at both, written otherwise at the second."""
        config = load("docker-hub-second-source")
        (registry,) = config.registries
        both = ["hub:library/nginx", "harbor:dockerhub/library/nginx"]
        for name in ("nginx", "library/nginx"):
            self.assertEqual(leads(registry, name), both)
        self.assertEqual(
            leads(registry, "grafana/grafana"),
            ["hub:grafana/grafana", "harbor:dockerhub/grafana/grafana"],
        )
        self.assertEqual(registry.trusted_upstreams, ("hub",))
        self.assertEqual(registry.shared_actions, {"pull"})
        self.assertEqual(config.upstreams["hub"].answer_timeout, 5)
        self.assertEqual(config.upstreams["hub"].username, "")
        self.assertEqual(config.upstreams["harbor"].username, "robot$pull")

    def test_renamed_namespaces(self) -> None:
        """Public namespaces have the company's prefix upstream; passwords go there."""
        config = load("renamed-namespaces")
        (registry,) = config.registries
        self.assertEqual(leads(registry, "team/app"), ["aliyun:acme_team/app"])
        self.assertEqual(
            registry.mapping.to_public("acme_team/app", "aliyun"), "team/app"
        )
        self.assertEqual(registry.trusted_upstreams, ("aliyun",))
        self.assertEqual(registry.token_path, "/auth")

    def test_many_registries(self) -> None:
        """Each namespace leads to one registry, and each host; passwords to one."""
        config = load("many-registries")
        people, docker, quay = config.registries
        for name, upstream_name in (
            ("team/app", "own:team/app"),
            ("hub/nginx", "hub:library/nginx"),
            ("hub/grafana/grafana", "hub:grafana/grafana"),
            ("quay/org/app", "quay:org/app"),
            ("ghcr/org/app", "ghcr:org/app"),
            ("k8s/pause", "k8s:pause"),
        ):
            self.assertEqual(leads(people, name), [upstream_name])
        self.assertRaises(NameUnknown, people.mapping.routes, "nginx")
        self.assertEqual(people.trusted_upstreams, ("own",))
        self.assertEqual(leads(docker, "nginx"), ["hub:library/nginx"])
        self.assertEqual(leads(quay, "org/app"), ["quay:org/app"])
        self.assertEqual((docker.writes, quay.writes), ("deny", "deny"))
        self.assertEqual(
            config.mirrors,
            {"docker.io": docker.host, "quay.io": quay.host},
        )

    def test_containerd_mirror(self) -> None:
        """Two sources, read-only; the hub with our account for everybody."""
        config = load("containerd-mirror")
        self.assertEqual(
            config.mirrors,
            {"docker.io": "hub.example.com", "ghcr.io": "github.example.com"},
        )
        hub, github = config.registries
        self.assertEqual((hub.writes, github.writes), ("deny", "deny"))
        self.assertEqual((hub.redirects, github.redirects), ("follow", "follow"))
        self.assertEqual((hub.catalog, github.catalog), ("deny", "deny"))
        self.assertEqual((hub.shared_actions, github.shared_actions), ({"pull"}, set()))
        self.assertEqual(config.upstreams["hub"].username, "company")

    def test_containerd_hosts(self) -> None:
        """It leads to the mirror by its certificate's name, and pushes nothing."""
        hosts = load_toml(EXAMPLES / "containerd-hosts.toml")
        config = load("containerd-mirror")
        self.assertEqual(hosts["server"], str(config.upstreams["hub"].origin))
        ((url, mirror),) = hosts["host"].items()
        (certificate,) = config.certificates
        self.assertEqual(url, f"https://{certificate.certificate.stem}")
        self.assertEqual(mirror, {"capabilities": ["pull", "resolve"]})
        text = (EXAMPLES / "containerd-hosts.toml").read_text()
        for source in config.mirrors:
            self.assertIn(f"/etc/containerd/certs.d/{source}/hosts.toml", text)
