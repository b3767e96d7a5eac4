"""A TCP connection between two parties that can be cut and delayed, for measurements and tests."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class Line:
    """A proxy on a port of its own, in a thread. It delays every byte by `delay` seconds in each direction.

    While it is `cut`, it passes nothing, accepts nothing, and closes nothing: as a network that is down.
    """

    def __init__(self, target: tuple[str, int], delay: float) -> None:
        self._target = target
        self._delay = delay
        self._works = asyncio.Event()
        self.port = 0

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._works.clear)

    def restore(self) -> None:
        self._loop.call_soon_threadsafe(self._works.set)

    async def serve(self, started: threading.Event, ended: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._works.set()
        async with await asyncio.start_server(self._connect, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await ended.wait()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._works.wait()
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(*self._target)
            try:
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
            finally:
                back.close()
                writer.close()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

        async def send() -> None:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._works.wait()
                if not data:
                    target.close()
                    return
                target.write(data)
                await target.drain()

        async def receive() -> None:
            while data := await source.read(1 << 16):
                await waiting.put((self._loop.time() + self._delay, data))
            await waiting.put((self._loop.time() + self._delay, b""))

        await asyncio.gather(send(), receive())


@contextlib.contextmanager
def line_to(port: int, delay: float = 0.0) -> Iterator[Line]:
    """A line to a port of this machine, for the length of a block."""
    started = threading.Event()
    made: list[tuple[Line, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        ended = asyncio.Event()
        line = Line(("127.0.0.1", port), delay)
        made.append((line, asyncio.get_running_loop(), ended))
        await line.serve(started, ended)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # those that are cut now
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    if not started.wait(10):
        raise TimeoutError
    line, loop, ended = made[0]
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
