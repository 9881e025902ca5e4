"""
A file becomes a `Config`, with all that can be known of it before it is served.

twistd, ``regbroker check`` and the other commands all read it here, so that they say
the same of the same file.
"""

from __future__ import annotations

import os
import shutil
import stat
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path, PurePath

from regbroker.assembly.readable import open_at_once, problem_with_file
from regbroker.errors import ConfigurationError
from regbroker.runtime.unreadable import why_unreadable
from regbroker.runtime.utf16 import UTF16, is_utf16
from regbroker.settings.config import Config
from regbroker.settings.ini import ConfigCheck, parse_config
from regbroker.settings.warnings import warnings

#: A thousand registries have less; what is larger is some other file.
MAX_BYTES = 4 * 1024 * 1024


def load_config(path: str | Path) -> Config:
    """
    Read and check a configuration file.

    Raises `ConfigurationError` with every problem that can be found without
    starting anything: certificates are read, too. `warnings_about` has what does not
    keep the result from being served.
    """
    return parse_text(read_text(path), path)


def parse_text(text: str, path: str | Path) -> Config:
    """Check what a configuration file holds; raises as `load_config`."""
    # It loads all that serving needs, which takes long where only a name is looked up.
    from regbroker.assembly.problems import problems_with_parts

    return _parse(text, path, problems_with_parts)


def read_config(path: str | Path) -> Config:
    """Read a configuration file; what it names is there, but it is not opened."""
    return _parse(read_text(path), path, lambda config, wrong: ())


def warnings_about(config: Config, *, rights: bool = True) -> Iterator[str]:
    """
    Yield the warnings about a configuration that `load_config` has returned.

    With `rights`, those are among them that are not what their tests say.
    """
    from regbroker.assembly.file_warnings import file_warnings

    yield from warnings(config, shutil.which, _file_in_path)
    yield from file_warnings(config)
    if rights:
        yield from rights_problems(config)


def rights_problems(config: Config) -> Iterator[str]:
    """Yield a line for each right that is not what its tests say."""
    if all(entry.tests is None for entry in config.registries):
        return
    from regbroker.assembly import rights_report

    yield from rights_report.unmet_expectations(config)


def _parse(
    text: str,
    path: str | Path,
    problems_with_parts: ConfigCheck,
) -> Config:
    directory = PurePath(Path(path).absolute().parent)
    return parse_config(text, directory, problem_with_file, problems_with_parts)


def _file_in_path(name: str) -> str | None:
    return shutil.which(name, mode=os.F_OK)


def read_text(path: str | Path) -> str:
    """Return a configuration file's text; raises `ConfigurationError`."""
    if not os.fspath(path):
        raise ConfigurationError(
            ["the path of the configuration is empty; write --config FILE"]
        )
    path = Path(path)
    try:
        with open(path, "rb", opener=open_at_once) as file:
            # What is there is waited for: a shell may have made the pipe: <(command).
            os.set_blocking(file.fileno(), True)
            data = file.read(MAX_BYTES + 1)
            is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        raise ConfigurationError([f"{path}: {why_unreadable(error)}"]) from error
    except ValueError as error:
        shown = os.fspath(path).replace("\0", "\\0")
        raise ConfigurationError(
            [f"{shown}: the path has a NUL character; no file has such a name"]
        ) from error
    if is_pipe and not data:
        problem = (
            "a pipe, and nobody writes to it; write a file, which can be read again"
        )
    elif len(data) > MAX_BYTES:
        problem = f"more than {MAX_BYTES} bytes; is this a configuration?"
    elif is_utf16(data):
        problem = UTF16
    elif b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        problem = f"line {line}: a NUL character; a configuration is text"
    else:
        try:
            return data.removeprefix(BOM_UTF8).decode("utf-8")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            problem = f"line {line}: not UTF-8 text; save it as UTF-8"
    raise ConfigurationError([f"{path}: {problem}"])
