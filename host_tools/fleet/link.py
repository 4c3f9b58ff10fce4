"""The collector on the wire: aiomqtt over mutual TLS, and patience (no decisions here)."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiomqtt

from host_tools.errors import DeviceError, HostError
from host_tools.fleet import acl, limits
from host_tools.fleet.answers import Down, Notice, Outcome
from host_tools.fleet.collector import Collector

log = logging.getLogger(__name__)
UP_FILTER = acl.RIGHTS[acl.COLLECTOR][1][0]


@dataclass(frozen=True)
class Address:
    """Where the broker listens, and the context that proves it."""

    host: str
    port: int
    context: ssl.SSLContext


class Link:
    """Feeds a collector until it is cancelled; comes back when the broker does."""

    def __init__(
        self, collector: Collector, address: Address, on_notice: Callable[[Notice], None]
    ) -> None:
        self._collector = collector
        self._address = address
        self._on_notice = on_notice
        self._client: aiomqtt.Client | None = None
        self.connected = asyncio.Event()

    async def push(self, down: Down) -> None:
        """Send one message now: for rollouts and drills. Raises DeviceError while disconnected."""
        if self._client is None:
            raise DeviceError("the collector is not connected to its broker")
        await self._send(self._client, [down])

    async def run(self) -> None:
        """For ever: connect, serve, wait, again."""
        wait = limits.BACKOFF_FIRST_S
        while True:
            try:
                await self._session()
            except aiomqtt.MqttError as error:
                self._say("link.down", str(error))
            if self.connected.is_set():
                wait = limits.BACKOFF_FIRST_S
            self._client = None
            self.connected.clear()
            await asyncio.sleep(wait)
            wait = min(2 * wait, limits.BACKOFF_MAX_S)

    async def _session(self) -> None:
        address = self._address
        async with aiomqtt.Client(
            address.host,
            address.port,
            identifier=acl.COLLECTOR,
            clean_session=False,  # the broker keeps what comes while this service restarts
            tls_context=address.context,
            timeout=limits.CONNECT_WAIT_S,
            keepalive=limits.COLLECTOR_KEEPALIVE_S,
            max_queued_incoming_messages=limits.QUEUE_SERVICE,
        ) as client:
            await client.subscribe(UP_FILTER, qos=1)
            await self._send(client, self._collector.resume())
            self._client = client
            self.connected.set()
            rollout = asyncio.create_task(self._roll_out(client))
            try:
                await self._listen(client)
            finally:
                rollout.cancel()
                await asyncio.gather(rollout, return_exceptions=True)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            await self._send(client, self._handle(message))
            if len(client.messages) == 0:  # one acknowledgement for all that came together
                await self._send(client, self._collector.acknowledge())

    async def _roll_out(self, client: aiomqtt.Client) -> None:
        while True:
            try:
                outcome = self._collector.rollout(time.time())
            except HostError as error:
                self._say("collector.failed", str(error))
            else:
                self._show(outcome)
                await self._send(client, outcome.down)
            await asyncio.sleep(limits.ROLLOUT_POLL_S)

    def _handle(self, message: aiomqtt.Message) -> list[Down]:
        if message.retain:
            return []  # a hint at best, and brokers of ours keep none (S11)
        try:
            outcome = self._collector.handle(str(message.topic), message.payload, time.time())
        except DeviceError as error:  # a full disk: not kept, so not acknowledged
            self._say("collector.failed", str(error))
            return []
        self._show(outcome)
        return outcome.down

    def _show(self, outcome: Outcome) -> None:
        for notice in outcome.notices:
            self._on_notice(notice)

    async def _send(self, client: aiomqtt.Client, messages: list[Down]) -> None:
        for down in messages:
            await client.publish(down.topic, down.payload, qos=down.qos)

    def _say(self, name: str, reason: str) -> None:
        log.info("%s: %s", name, reason)
        self._on_notice(Notice(time.time(), "", "event", f"{name} {reason}"))
