"""
regbroker beside services of an application's own, with the application's accounts.

Users log in with what the application knows of them: any `twisted.cred` checker. The
application sees each request that has ended, as an event of the log. Run it with::

    REGBROKER_CONFIG=beside_services.ini twistd -ny beside_services.py

The configuration has a section ``[accounts staff]`` with ``application = yes``.
"""

import os
from collections import Counter

from twisted.application.internet import TimerService
from twisted.application.service import Application
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import reactor
from twisted.logger import Logger, globalLogPublisher

from regbroker.credchecker import CheckerAccounts
from regbroker.service import build_service, load_config

log = Logger(namespace="our_application")
statuses: Counter[int | None] = Counter()

# In the place of the application's own checker.
checker = InMemoryUsernamePasswordDatabaseDontUse(alice=b"wonderland")


def count(event):
    """Count the requests that have ended, by their status."""
    if event.get("log_namespace") == "regbroker.events":
        statuses[event["status"]] += 1


def report():
    """Say how many there were."""
    log.info("requests by status: {statuses}", statuses=dict(statuses))


globalLogPublisher.addObserver(count)

application = Application("our application")
TimerService(float(os.environ.get("EVERY", 60)), report).setServiceParent(application)
registry = build_service(
    load_config(os.environ["REGBROKER_CONFIG"]),
    reactor,
    account_sources={"staff": [CheckerAccounts(checker)]},
)
registry.setServiceParent(application)
