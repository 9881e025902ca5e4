"""The registered claims."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.registered_claims import check_registered, shown
from regbroker.accounts.principals import LoginRefused
from tests.issuers import ISSUER, NOW, claims


def check(leeway: float = 10, **changed: Any) -> float:
    """When a token with these claims ends."""
    audience = ("registry.test", "other.test")
    return check_registered(claims(**changed), ISSUER, audience, NOW, leeway)


class ClaimsTests(SynchronousTestCase):
    def test_good(self) -> None:
        """One of several audiences is enough; times may have fractions, or be off."""
        good: tuple[dict[str, Any], ...] = (
            {},
            {"aud": ["x", "other.test"]},
            {"nbf": None, "iat": None},
            {"iat": NOW + 9, "nbf": NOW + 9.5},
        )
        for changed in good:
            self.assertEqual(check(**changed), NOW + 300)
        self.assertEqual(check(exp=NOW + 0.5), NOW + 0.5)

    def test_leeway(self) -> None:
        """What has just ended is good for as long as clocks may differ."""
        self.assertEqual(check(exp=NOW - 9), NOW + 1)
        with self.assertRaises(LoginRefused):
            check(exp=NOW - 10)
        with self.assertRaises(LoginRefused):
            check(leeway=0, exp=NOW)

    def test_milliseconds(self) -> None:
        """An end in milliseconds would be none: it is refused, and the log says why."""
        ten_years = NOW + 3660 * 86400
        self.assertEqual(check(exp=ten_years), ten_years)
        for end in (ten_years + 1, (NOW + 300) * 1000, 253402300800, 2**53 - 1):
            with self.assertRaises(LoginRefused) as caught:
                check(exp=end)
            self.assertEqual(
                str(caught.exception),
                f"exp is {end}, more than ten years ahead; it is written in seconds "
                "(RFC 7519, 2)",
            )

    def test_refused(self) -> None:
        """The claim that is wrong is named."""
        wrong: dict[str, tuple[Any, ...]] = {
            "iss": (
                None,
                ISSUER + "/",
                ISSUER.upper(),
                "https://evil.test",
                [ISSUER],
                7,
            ),
            "aud": (
                None,
                "Registry.test",
                "registry.test ",
                [],
                {},
                7,
                [["registry.test"]],
            ),
            "sub": (None, "", 7, ["x"]),
            "exp": (None, NOW - 3600, "1700000300", True, [], -1, 1e300, float("nan")),
            "nbf": (NOW + 60, "0", {}, float("inf")),
            "iat": (NOW + 60, False, 10**400),
        }
        for name, values in wrong.items():
            for value in values:
                with self.assertRaises(LoginRefused, msg=f"{name}: {value}") as caught:
                    check(**{name: value})
                self.assertTrue(str(caught.exception).startswith(name))

    def test_shown(self) -> None:
        """A claim in the log is one line, and short."""
        self.assertEqual(shown("a\nb"), '"a\\nb"')
        self.assertLess(len(shown("x" * 1_000_000)), 250)
        self.assertLess(len(shown(["x" * 1_000_000])), 250)
