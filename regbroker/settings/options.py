"""
Which options there are, and in which kinds of sections.

The readers know it: they are given sections with nothing in them, and the
sections note what they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import PurePath

from regbroker.settings.section import Section
from regbroker.settings.sections import (
    Known,
    read_accounts,
    read_main,
    read_registry,
    read_tls,
    read_upstream,
)


@cache
def homes() -> Mapping[str, str]:
    """Return, by option, the section that it belongs in, as it is written."""
    main, tls, upstream = _empty("regbroker"), _empty("tls"), _empty("upstream NAME")
    # Some are asked for only where another one stands.
    registry = _empty("registry HOST", "upstream")
    accounts = _empty("accounts NAME", "ldap")
    read_main(main)
    read_tls(tls, "")
    read_upstream(upstream, "NAME")
    read_registry(registry, "*", Known((), {}, (), {}))
    read_accounts(accounts, "NAME")
    return {
        option: f"[{section.title}]"
        for section in (main, tls, upstream, registry, accounts)
        for option in section.known
    }


def _empty(title: str, *given: str) -> Section:
    """Return a section without values; what is wrong with that nobody reads."""
    options = dict.fromkeys(given, "")
    return Section(title, options, [], PurePath(), lambda path: None, {})
