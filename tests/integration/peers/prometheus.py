"""Prometheus: it scrapes what a test names, and is asked over HTTP."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from .processes import Daemon, base_environment, require_programs

CONFIGURATION = """\
global:
  scrape_interval: 250ms
  scrape_timeout: 250ms
scrape_configs:
  - job_name: regbroker
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


class Prometheus:
    """A Prometheus on a loopback port that the kernel has chosen."""

    def __init__(self, directory: Path, port: int) -> None:
        """Start it, to scrape this port of ours."""
        require_programs("prometheus", "promtool")
        directory.mkdir()
        configuration = directory / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(port=port))
        self._daemon = Daemon(
            [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={directory / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            directory / "prometheus.log",
            base_environment(directory),
        )
        match = self._daemon.wait_for(r'"Listening on" address=127\.0\.0\.1:([1-9]\d*)')
        self.port = int(match[1])
        # before that its answers are 503
        self._daemon.wait_for("Server is ready to receive web requests")

    def stop(self) -> None:
        """End it."""
        self._daemon.stop()

    def query(self, expression: str) -> dict[str, float]:
        """The values of an expression, each by its labels as ``name=value`` texts."""
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            document: Any = json.load(reply)
        return {
            " ".join(f"{k}={v}" for k, v in sorted(one["metric"].items())): float(
                one["value"][1]
            )
            for one in document["data"]["result"]
        }
