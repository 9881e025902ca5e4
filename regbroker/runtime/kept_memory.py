"""
Memory that is freed and wanted again for the next read from a socket.

glibc gives what is free at the end of the heap back to the system when it is more than
a bound, and has to ask for it again: the kernel then clears each page of 4 KiB as it is
touched. The bound is twice the size of the largest block that was mapped by itself and
freed (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD). A read of a large body, with
its copies, is more than that makes of it. Whether it stands at the end of the heap is
chance. If it does, each read faults in a hundred pages and more, for as long as that
lasts.
"""

from __future__ import annotations

from functools import cache

#: A block of this size has glibc keep 2 MiB.
BLOCK_BYTES = 1024 * 1024


@cache
def keep_freed_memory() -> None:
    """Have malloc keep what a read of a large body frees; once in a process."""
    # Nothing touches it, so it costs two system calls. Without glibc nothing changes.
    bytes(BLOCK_BYTES)
