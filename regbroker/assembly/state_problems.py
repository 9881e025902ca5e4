"""
What cannot be kept in the state directory, though serving makes it or needs it.

An option that is wrong has no default here: what takes its place is not meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from regbroker.accounts.key_file import has_key
from regbroker.assembly.own_keys import KEPT as KEPT_KEY
from regbroker.assembly.own_keys import problem_with_keys
from regbroker.runtime.state_directory import no_place, state_problem
from regbroker.settings.addresses import is_host
from regbroker.settings.config import Config
from regbroker.settings.section import WrongOptions
from regbroker.transport.certificates.self_signed import KEPT as KEPT_CERTIFICATE
from regbroker.transport.certificates.self_signed import has_self_signed


def problems_with_state(config: Config, wrong: WrongOptions) -> Iterator[str]:
    """Try whether what is made at the start can be kept, and what is kept be read."""
    if ("regbroker", "state-directory") in wrong:
        return
    directory = Path(config.state_directory)
    needs_key = _needs_key(config, wrong)
    if needs_key and has_key(directory):
        problem = problem_with_keys(config)
        if problem is not None:
            yield problem
    for kept, place in _made_at_start(config, directory, wrong):
        problem = state_problem(place)
        if problem is not None:
            yield no_place(directory, problem, kept)
            # What else is kept there fails in the same way.
            return


def _needs_key(config: Config, wrong: WrongOptions) -> bool:
    if config.signing_key or ("regbroker", "signing-key") in wrong:
        return False
    return config.in_use().signs_tokens


def _made_at_start(
    config: Config, directory: Path, wrong: WrongOptions
) -> Iterator[tuple[str, Path]]:
    """Yield what serving makes or writes, and the directory that it is in."""
    if _makes_certificate(config, wrong) and not has_self_signed(
        directory, certificate_hosts(config)
    ):
        yield KEPT_CERTIFICATE, directory
    if _needs_key(config, wrong) and not has_key(directory):
        yield KEPT_KEY, directory
    for name, entry in config.in_use().upstreams.items():
        if entry.origin is None:
            kept = f"what is pushed to [upstream {name}], a sandbox, is kept"
            yield kept, sandbox_directory(config.state_directory, name)


def _makes_certificate(config: Config, wrong: WrongOptions) -> bool:
    if ("regbroker", "listen") in wrong or any(
        title.split()[0] == "tls" for title, _ in wrong
    ):
        return False
    return any(listener.tls for listener in config.listen) and not config.certificates


def sandbox_directory(state: PurePath, name: str) -> Path:
    """Return where ``[upstream NAME]`` keeps what is pushed, if it is a sandbox."""
    return Path(state).absolute() / "sandbox" / name


def certificate_hosts(config: Config) -> list[str]:
    """Return the hosts that a self-signed certificate is for."""
    # Others than hosts are told of, and come here in a configuration that is checked.
    hosts = [entry.host for entry in config.registries if is_host(entry.host)]
    return hosts + [host for entry in config.registries for host in entry.hosts]
