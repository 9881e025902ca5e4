"""
How the servers of one upstream are reached, as its section of the ini file says.

The environment's proxies count only where the section says so: a variable that somebody
has set for other programs must not lead a registry's passwords elsewhere.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, Literal, Protocol
from urllib.parse import unquote, urlsplit

from regbroker.protocol.origins import Origin, parse_origin
from regbroker.runtime.unreadable import why_unreadable
from regbroker.runtime.watched_file import WatchedFile, parse_file
from regbroker.settings.config import UpstreamConfig
from regbroker.transport.certificates.pem_files import WrongKey
from regbroker.transport.client.trust import Trust, client_identity
from regbroker.transport.client.way_out import Proxy, WayOut

#: The variables for each scheme; that in capitals counts first.
_VARIABLES = {"https": "HTTPS_PROXY", "http": "HTTP_PROXY"}
_NO_PROXY = "NO_PROXY"


class WayConfig(Protocol):
    """What a section says of the way to its servers; see `UpstreamConfig`."""

    @property
    def proxy(self) -> Origin | Literal["environment"] | None:
        """The proxy, or that the environment names it."""

    @property
    def proxy_credentials_file(self) -> PurePath | None:
        """The file with the proxy's user and password."""


def trust_of(
    config: UpstreamConfig,
    now: Callable[[], float],
    environment: Mapping[str, str] = os.environ,
) -> Trust:
    """
    Return whom to believe, and the way there; `now` returns seconds.

    Raises `OSError` or `ValueError` that begins with the option that is wrong.
    """
    identity = None
    for problem in problems_with_way(config, environment):
        raise ValueError(problem)
    if config.client_certificate is not None and config.client_key is not None:
        identity = Path(config.client_certificate), Path(config.client_key)
    try:
        return Trust(
            Path(config.ca_file) if config.ca_file else None,
            way_out(config, now, environment, config.socket),
            identity,
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"ca-file: {config.ca_file}: {error}") from error


def problems_with_way(
    config: UpstreamConfig, environment: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """Yield what is wrong with proxy and client certificate, with the option's name."""
    certificate, key = config.client_certificate, config.client_key
    if certificate is not None and key is not None:
        try:
            client_identity(Path(certificate), Path(key))
        except WrongKey as error:
            yield f"client-key: {key}: {error}"
        except OSError as error:
            yield f"client-certificate: {certificate}: {why_unreadable(error)}"
        except ValueError as error:
            yield f"client-certificate: {certificate}: {error}"
    yield from problems_with_proxy(config, environment)


def problems_with_proxy(
    config: WayConfig, environment: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """Yield what is wrong with a section's proxy, with the option's name."""
    if config.proxy_credentials_file is not None:
        try:
            parse_file(Path(config.proxy_credentials_file), parse_credentials)
        except ValueError as error:
            yield f"proxy-credentials-file: {error}"
    if config.proxy == "environment":
        try:
            _environment_proxies(environment)
        except ValueError as error:
            yield f"proxy: {error}"


def unused_proxies(
    upstreams: Iterable[UpstreamConfig], environment: Mapping[str, str] = os.environ
) -> str | None:
    """Say that the environment names proxies which no upstream uses; None if not."""
    variables = [v for v in _VARIABLES.values() if _variable(environment, v)]
    remote = [each for each in upstreams if each.origin and each.socket is None]
    without = [each.name for each in remote if each.proxy is None]
    if not variables or not without:
        return None
    return (
        f"{' and '.join(variables)} in the environment: not used for [upstream "
        f"{without[0]}]{' and others' if without[1:] else ''}; write 'proxy = "
        "environment' there if it is to be used"
    )


def parse_credentials(contents: bytes) -> bytes:
    """
    Return the value of Proxy-Authorization for the ``USER:PASSWORD`` of a file.

    Raises `ValueError` that does not tell what the file holds.
    """
    line = re.sub(rb"\r?\n\Z", b"", contents)
    if b":" not in line or re.search(rb"[\x00-\x1f\x7f]", line):
        raise ValueError("write USER:PASSWORD, on one line")
    return b"Basic " + b64encode(line)


def way_out(
    config: WayConfig,
    now: Callable[[], float],
    environment: Mapping[str, str] = os.environ,
    socket: PurePath | None = None,
) -> WayOut:
    """
    Return the way to the servers of a section; `socket` is that of a unix socket.

    `now` returns seconds. Raises `ValueError` for proxies that the environment has.
    """
    if config.proxy == "environment":
        return WayOut(
            proxies=_environment_proxies(environment),
            no_proxy=_variable(environment, _NO_PROXY),
            socket=socket,
        )
    if config.proxy is None:
        return WayOut(socket=socket)
    proxy = Proxy(config.proxy)
    if config.proxy_credentials_file is not None:
        file = _credentials_file(Path(config.proxy_credentials_file), now)
        proxy = Proxy(config.proxy, lambda: _latest(file))
    return WayOut(proxies={"http": proxy, "https": proxy}, socket=socket)


def _credentials_file(path: Path, now: Callable[[], float]) -> WatchedFile[bytes]:
    return WatchedFile(path, parse_credentials, now)


def _latest(file: WatchedFile[bytes]) -> bytes:
    credentials = file.latest()
    if credentials is None:
        raise ValueError(f"{file.path} cannot be used")
    return credentials


def _environment_proxies(environment: Mapping[str, str]) -> dict[str, Proxy]:
    proxies = {}
    for scheme, variable in _VARIABLES.items():
        text = _variable(environment, variable)
        if text:
            proxies[scheme] = _environment_proxy(variable, text)
    return proxies


def _environment_proxy(variable: str, text: str) -> Proxy:
    """Parse ``http://USER:PASSWORD@HOST:PORT``; scheme and user may be left out."""
    wrong = (
        f"{variable} in the environment is not http://HOST:PORT; other proxies are not "
        "supported"
    )
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError:
        raise ValueError(wrong) from None
    user, at, authority = parts.netloc.rpartition("@")
    origin = parse_origin(parts.scheme, authority)
    if origin is None or origin.scheme != "http" or parts.path not in ("", "/"):
        # It may have a password in it, so it is not shown.
        raise ValueError(wrong)
    if not at:
        return Proxy(origin)
    name, _, password = user.partition(":")
    credentials = parse_credentials(f"{unquote(name)}:{unquote(password)}".encode())
    return Proxy(origin, lambda: credentials)


def _variable(environment: Mapping[str, Any], name: str) -> str:
    return str(environment.get(name) or environment.get(name.lower()) or "").strip()
