"""The embedded broker: amqtt behind a gate, for a bench and for tests (S11).

amqtt 0.12.1 as shipped takes a client without a certificate, looks a session up before it
authenticates, lets a will go anywhere, keeps unbounded queues and hands queued messages out with
the retain flag. The gate in front (`Gate`) reads each connection first: it demands a certificate
that is not revoked, binds client id and will to its common name, and passes on only whole packets
that `packets` accepts. docs/adr/0020 lists what is overridden here.
"""
# pyright: reportMissingTypeStubs=false
# (amqtt is annotated, but does not say so with py.typed)

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from amqtt.adapters import ReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import AMQTTError, BrokerError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session
from cryptography.x509 import Certificate

from host_tools.errors import DeviceError, HostError, Refused
from host_tools.fleet import acl, limits, packets
from host_tools.fleet.gate import Gate
from host_tools.fleet.identity import (
    Revocations,
    TlsFiles,
    client_name,
    load,
    peer_certificate,
    server_context,
)

log = logging.getLogger(__name__)
Notice = Callable[[str, str], None]  # (event name, reason)


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise AMQTTError("a connection is served by a task")
    return task


def _log_notice(event: str, reason: str) -> None:
    log.warning("%s: %s", event, reason)


class CertificateAuth(BaseAuthPlugin):
    """The gate has authenticated whoever comes this far."""

    async def authenticate(self, *, session: Session) -> bool | None:
        return session.client_id is not None and session.username is None


class TopicRights(BaseTopicPlugin):
    """`acl.RIGHTS` for the client id, which the gate has bound to the certificate."""

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        name = session.client_id if session else None
        if not name or not topic:
            return False
        allowed = acl.may_publish if action == Action.PUBLISH else acl.may_subscribe
        return allowed(name, topic)


@dataclass
class Live:
    """A connection that passed the gate."""

    gate: Gate
    writer: asyncio.StreamWriter
    task: asyncio.Task[Any]
    certificate: Certificate

    def end(self) -> None:
        """At once: a board that was reset answers no TLS shutdown."""
        self.gate.close()
        self.writer.transport.abort()


class EmbeddedBroker(Broker):
    """amqtt with the gate in front."""

    def __init__(
        self, files: TlsFiles, host: str, port: int, notice: Notice | None = None
    ) -> None:
        files.check()
        self.files = files
        self._issuers = files.issuers()
        self._context = server_context(files)
        self._revocations = Revocations(files)
        self._notice: Notice = notice or _log_notice
        self._live: dict[str, Live] = {}
        self._entering: dict[str, asyncio.Lock] = {}  # one lock a name: as many as certificates
        self._senders: set[asyncio.Task[None]] = set()
        listener = ListenerConfig(bind=f"{host}:{port}", max_connections=limits.CONNECTIONS)
        here = __name__
        super().__init__(
            BrokerConfig(
                listeners={"default": listener},
                plugins={f"{here}.CertificateAuth": {}, f"{here}.TopicRights": {}},
            )
        )

    async def start(self) -> None:
        """Listen. Raises DeviceError when the address cannot be had."""
        try:
            await super().start()
        except BrokerError as error:
            raise DeviceError(
                f"the broker cannot listen on {self.listeners_config['default'].bind}: {error}",
                "another program may hold the port; choose one with --port",
            ) from error

    async def shutdown(self) -> None:
        """Stop listening and end every connection; nothing when it does not run."""
        if not self.transitions.is_started():
            return
        for sender in self._senders:
            sender.cancel()
        await super().shutdown()

    @property
    def port(self) -> int:
        """The port that is listened on, also when 0 was asked for."""
        server = self._servers["default"].instance
        if not isinstance(server, asyncio.Server) or not server.sockets:
            raise DeviceError("the broker does not listen")
        return int(server.sockets[0].getsockname()[1])

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """One connection, from the end of its TLS handshake to its end."""
        gate = Gate(reader)
        name = "a client"
        try:
            name, certificate = await self._admit(gate, writer)
            async with self._entering.setdefault(name, asyncio.Lock()):
                await self._take_over(name)
                self._live[name] = Live(gate, writer, _this_task(), certificate)
            await self._client_connected(listener_name, gate, StreamWriterAdapter(writer))
        except HostError as error:
            self._notice("broker.refused", str(error))
        except (EOFError, OSError, asyncio.TimeoutError) as error:
            log.info("%s left before CONNECT: %s", name, type(error).__name__)
        finally:
            self._forget(name, gate)
            writer.close()

    async def _admit(self, gate: Gate, writer: asyncio.StreamWriter) -> tuple[str, Certificate]:
        """(common name, certificate) of a client whose CONNECT fits it. Raises Refused."""
        certificate = peer_certificate(writer.get_extra_info("ssl_object"))
        name = client_name(certificate, self._issuers)
        if self._revocations.is_revoked(certificate):
            raise Refused(f"{name}: certificate {certificate.serial_number:x} is revoked")
        connect = await gate.first()
        if connect.client_id != name:
            writer.write(packets.CONNACK_IDENTIFIER)
            raise Refused(f"{name}: expected its name as client id, got {connect.client_id!r}")
        if connect.will_topic is not None and not acl.may_publish(name, connect.will_topic):
            writer.write(packets.CONNACK_NOT_AUTHORIZED)
            raise Refused(f"{name}: may not leave a will on {connect.will_topic!r}")
        gate.paced = not acl.is_service(name)
        return name, certificate

    async def reload(self, files: TlsFiles) -> None:
        """Lists, chains or our certificate have changed: end the sessions of those that a list
        names (S11); sessions of others go on."""
        self.files = files
        self._issuers = files.issuers()
        self._revocations.use(files)
        load(self._context, files)
        for name, live in list(self._live.items()):
            if self._revocations.is_revoked(live.certificate):
                self._notice("broker.closed", f"{name}: its certificate was revoked")
                live.end()

    async def _take_over(self, name: str) -> None:
        """End the connection that a client of this name still has (MQTT-3.1.4-2)."""
        old = self._live.pop(name, None)
        if old is None:
            return
        old.end()
        _, pending = await asyncio.wait({old.task}, timeout=limits.TAKEOVER_WAIT_S)
        for task in pending:
            task.cancel()

    def _forget(self, name: str, gate: Gate) -> None:
        live = self._live.get(name)
        if live is not None and live.gate is gate:
            del self._live[name]
        if gate.reason:
            self._notice("broker.closed", f"{name}: {gate.reason}")

    # amqtt's own, each overridden for the reason that it gives

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: ListenerType,
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> asyncio.Server:
        """amqtt's context takes a client without a certificate; ours is the only one here."""
        return await asyncio.start_server(
            partial(self.stream_connected, listener_name=listener_name),
            address,
            port,
            reuse_address=True,
            ssl=self._context,
            ssl_handshake_timeout=limits.HANDSHAKE_WAIT_S,
        )

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        """The gate ends a silent connection; amqtt's timer would lose bytes and end nothing."""
        handler, session = await super()._initialize_client_session(
            reader, writer, remote_address, remote_port
        )
        session.keep_alive = 0
        return handler, session

    async def _handle_message_delivery(
        self,
        client_session: Session,
        handler: BrokerProtocolHandler,
        wait_deliver: asyncio.Future[Any],
    ) -> bool:
        """amqtt raises each message to the subscription's QoS; ours keep the sender's (3.8.4)."""
        message = wait_deliver.result()
        client_session.attributes["uward.qos"] = message.qos if message is not None else 0
        return await super()._handle_message_delivery(client_session, handler, wait_deliver)

    async def _broadcast_message(
        self,
        session: Session | None,
        topic: str | None,
        data: bytes | bytearray | None,
        force_qos: int | None = None,
    ) -> None:
        if force_qos is None and session is not None:
            force_qos = session.attributes.get("uward.qos")
        await super()._broadcast_message(session, topic, data, force_qos)

    async def _retain_broadcast_message(
        self, broadcast: dict[str, Any], qos: int, target_session: Session
    ) -> None:
        """The queue of an absent client is bounded: the oldest message goes."""
        queue = target_session.retained_messages
        name = target_session.client_id or ""
        bound = limits.QUEUE_SERVICE if acl.is_service(name) else limits.QUEUE_DEVICE
        while queue.qsize() >= bound:
            queue.get_nowait()
            self._notice("broker.queue_full", f"{name}: the oldest message was dropped")
        await super()._retain_broadcast_message(broadcast, qos, target_session)

    async def _publish_session_retained_messages(self, session: Session) -> None:
        """amqtt sets the retain flag here, and devices ignore retained messages (S11)."""
        sender = asyncio.create_task(self._send_queued(session))
        self._senders.add(sender)
        sender.add_done_callback(self._senders.discard)

    async def _send_queued(self, session: Session) -> None:
        """One by one, so that a board with little memory is not flooded when it comes back."""
        handler, queue = self._get_handler(session), session.retained_messages
        while handler is not None and not queue.empty():
            message = queue.get_nowait()
            try:
                await handler.mqtt_publish(message.topic, message.data, message.qos, retain=False)
            except (AMQTTError, OSError, asyncio.TimeoutError, asyncio.CancelledError):
                queue.put_nowait(message)  # the client left again: for the next connection
                return
