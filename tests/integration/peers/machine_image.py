"""An image to build on that holds this machine's own Python, and little else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

#: What the library has and no program in the image needs.
LEFT_OUT = ("site-packages", "test", "tests", "idlelib", "tkinter", "__pycache__")

#: What wheels for every Linux take for granted (PEP 599), besides what Python needs.
TAKEN_FOR_GRANTED = (
    *("libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "libm.so.6"),
    *("librt.so.1", "libutil.so.1", "libresolv.so.2"),
)

SHELL = Path("/bin/sh")


def lay_out(root: Path) -> None:
    """Put a Python, its libraries and a shell into `root`, a new directory."""
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(
        library, below(root, library), ignore=shutil.ignore_patterns(*LEFT_OUT)
    )
    # Debian keeps the wheel of pip, which venv installs, outside the library.
    if wheels := sysconfig.get_config_var("WHEEL_PKG_DIR"):
        shutil.copytree(wheels, below(root, Path(wheels)), dirs_exist_ok=True)
    python = Path(sys.executable).resolve()
    programs = [python, SHELL.resolve()]
    modules = library.joinpath("lib-dynload").glob("*.so")
    for path in {*programs, *libraries([*programs, *modules])}:
        target = below(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path.resolve(), target)
    for link, program in (("bin/sh", SHELL.resolve()), ("usr/bin/python3", python)):
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        if not (root / link).exists():
            (root / link).symlink_to(program)
    (root / "tmp").mkdir(mode=0o1777)
    (root / "etc").mkdir(exist_ok=True)


def libraries(programs: Iterable[Path]) -> set[Path]:
    """Return the shared libraries of programs, the dynamic linker among them."""
    listed = subprocess.run(
        ["ldd", *map(str, programs)], stdout=subprocess.PIPE, text=True, check=False
    ).stdout
    found = {Path(path) for path in re.findall(r"(/\S+)\s+\(0x", listed)}
    beside = {path.parent for path in found if path.name == "libc.so.6"}
    found |= {
        directory / name
        for directory in beside
        for name in TAKEN_FOR_GRANTED
        if (directory / name).exists()
    }
    return found


def below(root: Path, path: Path) -> Path:
    """Return where an absolute path lies below `root`."""
    return root / path.relative_to("/")
