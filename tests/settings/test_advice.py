"""What is said of a configuration that can be served."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.advice import warnings
from tests.settings.test_ini import parse

TEXT = """
    [regbroker]
    listen = {listen}
    {tls}
    [registry *]
    upstream = up
    namespaces = * = *
    anonymous = shared
    [upstream up]
    url = https://up.example
    username = u
    password-file = p
    {upstream}
"""


class WarningTests(SynchronousTestCase):
    def said(
        self,
        *,
        listen: str = "tls:443",
        tls: str = "",
        upstream: str = "",
        programs: tuple[str, ...] = (),
    ) -> list[str]:
        """What is said, with these programs in PATH."""
        text = TEXT.format(listen=listen, tls=tls, upstream=upstream)
        if "credential-helper" in upstream:
            text = text.replace("username = u", "").replace("password-file = p", "")
        return list(
            warnings(parse(text), lambda name: name if name in programs else None)
        )

    def test_nothing(self) -> None:
        """Nothing is said where nothing is to be said."""
        self.assertEqual(self.said(), [])

    def test_tls(self) -> None:
        """A certificate that no listener shows has no effect."""
        for title in ("tls", "tls a.example"):
            tls = f"[{title}]\n    certificate = a\n    key = b"
            for listen in ("tcp:80", "unix:/s", "proxy:tcp:1"):
                with_proxies = f"{listen}\n    trusted-proxies = 10.0.0.1"
                (warning,) = self.said(listen=with_proxies, tls=tls)
                start = f"[{title}] certificate: nothing listens with TLS, "
                self.assertTrue(warning.startswith(start), warning)
            self.assertEqual(self.said(listen="tls:443", tls=tls), [])
        self.assertEqual(self.said(listen="tcp:80"), [])

    def test_token_hosts(self) -> None:
        """Beside a realm they have no effect."""
        hosts, realm = "token-hosts = a.example", "realm = https://a.example/token"
        (warning,) = self.said(upstream=f"{hosts}\n    {realm}")
        start = "[upstream up] token-hosts: has no effect beside realm, "
        self.assertTrue(warning.startswith(start), warning)
        for alone in (hosts, realm):
            self.assertEqual(self.said(upstream=alone), [])

    def test_credential_helper(self) -> None:
        """A program that is not there is said, and what its name may be."""
        for name, programs, right in (
            ("ecr-login", ("docker-credential-ecr-login",), None),
            ("ecr-login", (), "install it there"),
            (
                "docker-credential-gcr",
                ("docker-credential-gcr",),
                "write 'credential-helper = gcr', without docker-credential-",
            ),
            (
                "docker-credential-gcr",
                ("docker-credential-docker-credential-gcr",),
                None,
            ),
        ):
            found = self.said(upstream=f"credential-helper = {name}", programs=programs)
            expected = (
                "[upstream up] credential-helper: there is no program "
                f"docker-credential-{name} in PATH; {right}"
            )
            self.assertEqual(found, [expected] if right else [])

    def test_basic(self) -> None:
        """Where docker is asked for Basic, anonymous rights do not help it."""
        text = TEXT.format(listen="tcp:80", tls="", upstream="").replace(
            "anonymous = shared",
            "accounts = staff\n    challenge = basic\n    [accounts staff]\n"
            "    htpasswd = h\n    [access staff]\n    anonymous = **: pull",
        )
        config = parse(text)
        (warning,) = warnings(config, lambda name: None)
        self.assertTrue(warning.startswith("[registry *] challenge: "), warning)
        (entry,) = config.registries
        bearer = replace(config, registries=(replace(entry, basic_challenge=False),))
        self.assertEqual(list(warnings(bearer, lambda name: None)), [])
