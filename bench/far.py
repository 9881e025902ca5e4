"""
A long way to an upstream: ``python -m bench.far PORT SECONDS``.

Bytes are passed on unchanged, each that much later, in both directions. The first
packets of a connection are late as well: what is connected here is connected there
after the same delay.
"""

from __future__ import annotations

import argparse
import asyncio


async def late(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    """Pass on what comes, each piece `seconds` after it came."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1024)

    async def read() -> None:
        while True:
            data = await reader.read(65536)
            await pieces.put((loop.time() + seconds, data))
            if not data:
                return

    reading = asyncio.ensure_future(read())
    try:
        while True:
            when, data = await pieces.get()
            await asyncio.sleep(max(when - loop.time(), 0))
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass
    finally:
        reading.cancel()


async def run(port: int, seconds: float) -> None:
    """Listen, say where, and pass on until killed."""

    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # TCP's own handshake takes one way there and one back
        await asyncio.sleep(2 * seconds)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            late(reader, far_writer, seconds), late(far_reader, writer, seconds)
        )
        for each in (writer, far_writer):
            each.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=512)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float, help="one way")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.port, arguments.seconds))


if __name__ == "__main__":
    main()
