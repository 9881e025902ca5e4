"""``regbroker check``: the warnings about a configuration that has no problems."""

from __future__ import annotations

import shutil
import sys

from regbroker.settings.config import Config
from regbroker.settings.warnings import warnings


def check(config: Config, path: str) -> int:
    """Print the warnings about `config`, read from `path`; returns the exit status."""
    for warning in warnings(config, shutil.which):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{path} can be served")
    return 0
