"""
A web application that has pages of its own, and a registry below /v2.

Run it with::

    REGBROKER_CONFIG=into_a_site.ini twistd -ny into_a_site.py
"""

import dataclasses
import os

from twisted.application import strports
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.static import Data

from regbroker.channel import StreamingSite
from regbroker.service import build_service, load_config

config = load_config(os.environ["REGBROKER_CONFIG"])
# The application listens, so regbroker does not.
registry = build_service(dataclasses.replace(config, listen=()), reactor)

pages = Resource()
pages.putChild(b"", Data(b"<h1>Our application</h1>\n", "text/html"))
# One resource answers for /v2 and for the token service. It looks at the whole path, so
# it is put where the paths begin: `/auth` is the default of `token-path`. With
# `search-url` it belongs at b"v1", too.
for beginning in (b"v2", b"auth"):
    pages.putChild(beginning, registry.root)

application = Application("our application")
registry.setServiceParent(application)
# Bodies stream in this site. twisted.web.server.Site works too, but Twisted stores each
# upload in a temporary file before the registry sees it.
site = StreamingSite(pages)
endpoint = os.environ.get("ENDPOINT", "tcp:8080:interface=127.0.0.1")
strports.service(endpoint, site).setServiceParent(application)
