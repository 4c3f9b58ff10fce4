"""The fleet's services in a thread of their own, and what they said, to wait for."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

from host_tools.errors import DeviceError
from host_tools.fleet import service
from host_tools.fleet.answers import Notice

POLL_S = 0.1
START_S = 60
END_S = 20

Wanted = Callable[[Notice], bool]


class Services:
    """Broker, collector and release service of the fleet in `folder`; `notices` grows."""

    def __init__(self, folder: Path, broker: service.BrokerKind) -> None:
        self._folder = folder
        self._broker: service.BrokerKind = broker
        self.notices: list[Notice] = []
        self.database: Path | None = None
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    def start(self) -> None:
        """Up when this returns. Raises what the services raised."""
        ready = threading.Event()
        self.database = None
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(START_S):
            raise DeviceError(f"the services did not start within {START_S} s")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Down when this returns. Does nothing when they are."""
        if self._thread is None or self._loop is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(END_S)
        self._thread = None

    def wait(self, what: str, wanted: Wanted, seconds: float, since: int = 0) -> Notice:
        """The first notice from index `since` on that is `wanted`. Raises DeviceError, saying
        what came instead."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for notice in self.notices[since:]:
                if wanted(notice):
                    return notice
            if self._failure is not None:
                raise self._failure
            time.sleep(POLL_S)
        last = "; ".join(notice.text for notice in self.notices[since:][-5:]) or "nothing"
        raise DeviceError(f"{what}: not within {seconds:.0f} s; heard: {last}")

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            self._failure = error
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        running = service.running(self._folder, broker=self._broker, on_event=self.notices.append)
        async with running as up:
            self.database = up.database
            ready.set()
            await self._ended.wait()
