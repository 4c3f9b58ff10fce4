"""A Pico W whose broker takes each connection and then says nothing: no reset, no reading lost."""

import asyncio
import threading
import time
from contextlib import contextmanager

import pytest

from host_tools.demo.story import HOST
from host_tools.fleet.identity import server_context
from host_tools.fleet.service import broker_files
from host_tools.verbs import target
from tests.board.field import BOOT_S, Field
from tests.board.test_offline_board import events, readings

SILENT_S = 150  # several attempts, from RAM and, after 30 s, beside the outbox in flash
BROUGHT_S = 150


@contextmanager
def silent(files, host, port):
    """A TLS server in a thread of its own, which reads and never answers."""
    taken = []

    async def hold(reader, writer):
        taken.append(writer)
        while await reader.read(1024):
            pass

    async def serve(ready, end):
        server = await asyncio.start_server(hold, host, port, ssl=server_context(files))
        async with server:
            ready.set()
            await end.wait()

    loop = asyncio.new_event_loop()
    ready, end = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(ready, end),))
    thread.start()
    try:
        assert ready.wait(10)
        yield taken
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)


@pytest.mark.timeout(8 * 60)
def test_a_broker_that_says_nothing_costs_neither_a_reset_nor_a_reading(tmp_path, stock):
    field = Field(tmp_path, "picow")
    field.make()
    field.target = target.open_target(field.found, "picow")
    try:
        with silent(broker_files(field.found), HOST, field.found.broker.port) as taken:
            field.target.start()
            time.sleep(SILENT_S)
            assert "/vault/away" in field.files()
        assert len(taken) >= 3
        field.services.start()
        field.wait("hello 1.0.0", "hello", BOOT_S)
        deadline = time.monotonic() + BROUGHT_S
        while "/vault/away" in field.files() and time.monotonic() < deadline:
            time.sleep(5)
        assert "/vault/away" not in field.files()
    finally:
        field.target.stop()
        field.services.stop()
    values = [value for _, value in readings(field)]
    assert values == list(range(1, len(values) + 1))  # from 1 again after a reset
    assert len(values) > SILENT_S // 2
    assert {"heap.low", "outbox.overflow"}.isdisjoint(name for name, _ in events(field))
