"""What local accounts need, put together from a configuration."""

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from regbroker.accounts.throttle import Throttle
from regbroker.accounts.throttling import LocalThrottling
from regbroker.assembly.local_accounts import (
    ChecksService,
    LocalParts,
    build_keys,
)
from regbroker.broker.local_broker import LocalBroker
from regbroker.broker.principal import WrongToken
from regbroker.credchecker import CheckerAccounts
from regbroker.errors import ConfigurationError
from regbroker.protocol.scopes import parse_scopes
from regbroker.protocol.token_requests import TokenRequest
from tests.issuers import claims, token

from .accountscase import LocalAccountsTestCase


class SharedKeyTests(LocalAccountsTestCase):
    """Machines with one signing key and different configurations."""

    def broker(self, host: str, applications: Collection[str] = ()) -> LocalBroker:
        """Return the token service of a machine of its own."""
        config = self.config(host)
        clock: Any = Clock()
        throttle = LocalThrottling(Throttle(clock.seconds))
        checks = {
            name: ChecksService(entry, (), throttle, clock).checks
            for name, entry in config.accounts.items()
        }
        parts = LocalParts(build_keys(config, clock), checks, applications=applications)
        return parts.broker(config.registries[0])

    def token(self, broker: LocalBroker, public_host: str) -> str:
        """Return what a client without credentials is granted under a host."""
        request = TokenRequest("GET", scopes=parse_scopes(["repository:a/b:pull"]))
        return str(json.loads(broker.issue(request, None, public_host))["token"])

    def test_same_section(self) -> None:
        """A token is good on every machine that has its section and its key."""
        authorization = f"Bearer {self.token(self.broker('a.test'), 'a.test')}"
        identifying = self.broker("a.test").identify(authorization, "a.test", "")
        principal = self.successResultOf(Deferred.fromCoroutine(identifying))
        self.assertTrue(principal is not None and principal.has_token)

    def test_default_section(self) -> None:
        """The section for * signs for any host; that opens no other section."""
        authorization = f"Bearer {self.token(self.broker('*'), 'a.test')}"
        identifying = self.broker("a.test").identify(authorization, "a.test", "")
        self.failureResultOf(Deferred.fromCoroutine(identifying), WrongToken)

    def test_jwts(self) -> None:
        """A JWT is no password, but where an application brings accounts."""
        jwt = token(claims())
        for applications, is_password in (((), False), (("staff",), True)):
            logins = self.broker("a.test", applications).logins
            self.assertEqual(logins.signed(jwt) is None, is_password)
            self.assertIsNone(logins.signed("password"))

    def test_application(self) -> None:
        """A section that waits for the application's accounts gets some, or says so."""
        entry = replace(self.config("a.test").accounts["staff"], application=True)
        clock: Any = Clock()
        throttle = LocalThrottling(Throttle(clock.seconds))
        with self.assertRaises(ConfigurationError) as refused:
            ChecksService(entry, (), throttle, clock)
        (problem,) = refused.exception.problems
        self.assertTrue(problem.startswith("[accounts staff] application: "))
        checker = InMemoryUsernamePasswordDatabaseDontUse()
        ChecksService(entry, [CheckerAccounts(checker)], throttle, clock)
