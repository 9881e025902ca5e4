"""The step with the issuer of an identity: its keys are fetched, as for serving."""

from __future__ import annotations

from twisted.internet.defer import TimeoutError

from regbroker.accounts.identity.issuer import IssuerFailed
from regbroker.assembly.identities import fetch_keys
from regbroker.cli.doctor.steps import Step, Trouble
from regbroker.errors import ConfigurationError
from regbroker.runtime.in_time import InTime
from regbroker.runtime.reactor import IMainReactor
from regbroker.settings.config import IdentityConfig

_ADVICE = (
    "until it answers, nobody can log in with its tokens; if this machine cannot reach "
    "it, write its keys into a file, and 'jwks = FILE'"
)


async def examine_identity(
    reactor: IMainReactor, entry: IdentityConfig, timeout: float
) -> list[Step]:
    """Return the one step: how long it took to get the keys, and how many there are."""
    started = reactor.seconds()
    seen, trouble = "", None
    try:
        keys = await InTime(fetch_keys(entry, reactor), timeout, reactor)
        kids = ", ".join(str(each.kid or "without kid") for each in keys.keys[:5])
        seen = f"{len(keys.keys)} usable: {kids}{', ...' if keys.keys[5:] else ''}"
    except TimeoutError:
        trouble = Trouble(f"no keys within {timeout:g} s", _ADVICE)
    except (IssuerFailed, ConfigurationError) as error:
        trouble = Trouble(str(error), _ADVICE)
    side = f"[identity {entry.name}] {entry.issuer}"
    return [Step(side, "keys", reactor.seconds() - started, seen, trouble)]
