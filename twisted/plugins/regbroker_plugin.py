"""Every twistd on the machine imports this file: it names regbroker, no more."""

from twisted.application.service import ServiceMaker

regbroker = ServiceMaker(
    "regbroker",
    "regbroker.tap",
    "A reverse proxy and token broker for container registries.",
    "regbroker",
)
