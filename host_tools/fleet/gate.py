"""The gate before the embedded broker: one connection's packets, each checked whole."""
# pyright: reportMissingTypeStubs=false
# (amqtt is annotated, but does not say so with py.typed)

import asyncio

from amqtt.adapters import ReaderAdapter

from host_tools.errors import Refused
from host_tools.fleet import limits, packets
from host_tools.fleet.pace import Bucket


class Gate(ReaderAdapter):
    """One connection's bytes, packet by packet, as amqtt reads them."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._buffer = b""
        self._closed = asyncio.Event()
        self.deadline = limits.KEEPALIVE_MAX_S * limits.KEEPALIVE_FACTOR
        self.reason = ""
        self._pace = Bucket(limits.PACKET_RATE, limits.PACKET_BURST, _now())
        self.paced = True  # services are not: one of them answers all devices

    async def first(self) -> packets.Connect:
        """The CONNECT packet, kept for amqtt as well. Raises Refused, TimeoutError, EOFError."""
        packet = packets.read_packet(self._reader.readexactly, limits.CONNECT_BYTES)
        first, length, body = await asyncio.wait_for(packet, limits.CONNECT_WAIT_S)
        connect = packets.connect(first, body)
        asked = connect.keep_alive or limits.KEEPALIVE_MAX_S
        self.deadline = min(asked, limits.KEEPALIVE_MAX_S) * limits.KEEPALIVE_FACTOR
        self._buffer = bytes([first]) + length + body
        return connect

    def close(self) -> None:
        """The next read finds the end of the stream."""
        self._closed.set()

    async def read(self, n: int = -1) -> bytes:
        """`n` bytes of one packet; fewer at the end, which amqtt takes as a closed connection."""
        if not self._buffer:
            await self._keep_pace()
            self._buffer = await self._next()
        data, self._buffer = self._buffer[:n], self._buffer[n:]
        return data

    async def _keep_pace(self) -> None:
        """A flood waits in the sender's socket, not in this process (T06)."""
        while self.paced and not self._pace.take(1, _now()):
            await asyncio.sleep(self._pace.wait(1, _now()))

    def feed_eof(self) -> None:
        self.close()

    async def _next(self) -> bytes:
        packet = asyncio.ensure_future(
            packets.read_packet(self._reader.readexactly, limits.MESSAGE_BYTES)
        )
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            done, _ = await asyncio.wait(
                {packet, closed}, timeout=self.deadline, return_when=asyncio.FIRST_COMPLETED
            )
            if packet not in done:
                self.reason = "" if closed in done else "silent beyond its keep-alive"
                return b""
            first, length, body = packet.result()
            packets.check(first, body)
            return bytes([first]) + length + body
        except (EOFError, OSError):
            return b""
        except Refused as error:
            self.reason = str(error)
            return b""
        finally:
            packet.cancel()
            closed.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()
