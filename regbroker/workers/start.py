"""What a worker is told as it starts, and when the configuration changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from regbroker.assembly.loading import parse_text
from regbroker.protocol.origins import parse_origin
from regbroker.settings.config import Config


@dataclass(frozen=True)
class Served:
    """
    A configuration as the process in front has read it.

    `path` is where, and `text` what it held: the file may be another one by now.
    `sandboxes` are the URLs of the upstreams that run in the process in front.
    """

    path: str
    text: str
    sandboxes: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """Return it as a document of JSON."""
        return asdict(self)

    def config(self) -> Config:
        """Return the values; raises `ConfigurationError`."""
        config = parse_text(self.text, self.path)
        upstreams = dict(config.upstreams)
        for name, url in self.sandboxes.items():
            origin = parse_origin(*url.split("://"))
            upstreams[name] = replace(upstreams[name], origin=origin)
        return replace(config, upstreams=upstreams)


def parse_served(document: Mapping[str, Any]) -> Served:
    """Return what `Served.document` has returned."""
    return Served(document["path"], document["text"], document["sandboxes"])
