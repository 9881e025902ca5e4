"""
Imports that take less time: the longest part of every command's start.

It is for processes of our own. Who imports regbroker into another program imports it as
anything else.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from types import ModuleType

#: Twisted imports them as it is loaded, and regbroker has no use for them. They bring
#: the standard library's HTTP client, its debugger, and much of its e-mail.
RARELY_USED = ("http.cookiejar", "pdb", "urllib.request")


class _Unloaded(ModuleType):
    """A module that is loaded when it is asked for the first of its names."""

    def __getattr__(self, name: str) -> object:
        # From here on it is a module like any other.
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec = self.__spec__
        assert spec is not None and spec.loader is not None
        spec.loader.exec_module(self)
        return getattr(self, name)


@contextmanager
def quick_imports() -> Iterator[None]:
    """
    Have imports take less time.

    What is `RARELY_USED` is loaded when somebody uses it. No garbage is looked for
    meanwhile: what modules consist of stays. The collector leaves it alone afterwards,
    too.
    """
    for name in RARELY_USED:
        if name not in sys.modules:
            _load_when_used(name)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _load_when_used(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None
    module = module_from_spec(spec)
    module.__class__ = _Unloaded
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    if package:
        setattr(sys.modules[package], last, module)
