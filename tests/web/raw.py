"""Peers that do not behave: bytes on a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


@asynccontextmanager
async def connected(
    path: Path, limit: int = 64 * 1024
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=limit)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """All that comes, until the other side ends or breaks off. Raises TimeoutError: it does neither."""
    parts = []
    async with asyncio.timeout(20):
        with suppress(ConnectionError):
            while part := await reader.read(65536):
                parts.append(part)
    return b"".join(parts)
