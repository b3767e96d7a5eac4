"""Reading parts of files on the event loop."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from brokenreg.bulk.sendfile import read_part

SIZE = 256 * 1024
READS = 2000


def test_event_loops_of_several_threads_do_not_share_what_they_read(tmp_path: Path) -> None:
    async def read_again_and_again(content: bytes) -> int:
        path = tmp_path / f"{content[0]}"
        path.write_bytes(content)
        with path.open("rb") as file:
            assert os.fstat(file.fileno()).st_size == SIZE
            return sum([await read_part(file, 0, SIZE) != content for _ in range(READS)])

    def run(value: int) -> int:
        return asyncio.run(read_again_and_again(bytes([value]) * SIZE))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, (1, 2))) == [0, 0]
