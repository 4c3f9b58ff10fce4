"""The emulated board's Wi-Fi: everything that it connects to lies at 127.0.0.1, or nowhere.

The guest's TCP is carried over host sockets to 127.0.0.1, whatever address it names; its DNS is
answered here; other UDP goes to a mapped port or is dropped. Faults are set on `Network`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from host_tools.targets.emulator import beacon

LOOPBACK = "127.0.0.1"
DNS_PORT = 53
ANY_HOST = bytes([192, 0, 2, 1])  # TEST-NET-1 (RFC 5737): what every name resolves to
DNS_HEADER = 12
RESEND_S = 0.5  # without progress, before the oldest segment is sent to the guest again
DNS_ANSWER_TTL_S = 60


@dataclass
class Network:
    """What the board can reach, and the faults on the way.

    ports: guest port -> host port at 127.0.0.1 (others map to themselves). refuse: guest ports
    that answer with a reset. delay_s: how much later each frame reaches the guest, so that it is
    the round trip. down: all frames are lost. names: host names that resolve; None means all.
    security: what the access point announces (see `beacon`). log: (address, port) of each
    connection.
    """

    ports: dict[int, int] = field(default_factory=dict[int, int])
    refuse: set[int] = field(default_factory=set[int])
    delay_s: float = 0.0
    down: bool = False
    names: set[str] | None = None
    security: str = "wpa2"
    log: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    bus: Any = None
    _bridge: Any = None

    def attach(self, mcu: Any, bus: Any) -> None:
        """Replace the NAT behind the Wi-Fi chip's `bus` with one that stays on this machine."""
        self.bus = bus
        self._bridge = _local_bridge(self, mcu, bus)
        plain: bytes = bus._build_scan_result_bytes()
        bus._build_scan_result_bytes = lambda: beacon.scan_result(plain, self.security)

    def drop_connections(self) -> None:
        """Forget all connections: the guest's next segments meet silence, the peers a close."""
        if self._bridge is not None:
            self._bridge.reset()

    async def connect(
        self, address: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """What the NAT calls for each new connection of the guest."""
        self.log.append((address, port))
        if port in self.refuse:
            raise ConnectionRefusedError(f"port {port} refuses")
        return await asyncio.open_connection(LOOPBACK, self.ports.get(port, port))


def _local_bridge(network: Network, mcu: Any, bus: Any) -> Any:
    from rp2040py.external.cyw43 import nat, net

    queue: Callable[[bytes], None] = bus.queue_rx_ethernet_frame

    def to_guest(frame: bytes) -> None:
        if network.down:
            return
        if network.delay_s:  # in order: each has the same way to go
            asyncio.get_running_loop().call_later(network.delay_s, queue, frame)
        else:
            queue(frame)

    class Bridge(nat.NatBridge):
        def __init__(self) -> None:
            super().__init__(mcu, to_guest)
            self._tcp = Tcp(mcu, to_guest, connect_fn=network.connect)
            self._udp = Udp(mcu, to_guest)

        def handle_outbound_ethernet_frame(self, frame: bytes) -> None:
            if not network.down:
                super().handle_outbound_ethernet_frame(frame)

    class Tcp(nat.TcpReflector):
        """With retransmission: the guest drops a segment when its buffers are full, as they are
        while an erase keeps it from reading, and waits for it again as from any peer."""

        async def _pump_host_to_guest(self, flow: Any) -> None:
            flow.unacked = bytearray()
            resend = asyncio.create_task(self._resend(flow))
            try:
                await super()._pump_host_to_guest(flow)
            finally:
                resend.cancel()

        def _build_tcp_frame(self, flow: Any, **options: Any) -> bytes:
            if "seq" not in options:
                flow.unacked += options.get("payload", b"")
            return super()._build_tcp_frame(flow, **options)

        def _on_guest_segment(self, flow: Any, tcp: Any) -> None:
            before = flow.bytes_acked_by_guest
            try:
                super()._on_guest_segment(flow, tcp)
            except OSError:  # the peer has reset: nobody is left to be told of the guest's FIN
                self._queue_ethernet_frame(self._build_tcp_frame(flow, flags=net.TCP_ACK))
                self._maybe_evict(flow)
            if flow.bytes_acked_by_guest > before:
                del flow.unacked[: flow.bytes_acked_by_guest - before]

        async def _resend(self, flow: Any) -> None:
            while True:
                seen = flow.bytes_acked_by_guest
                await asyncio.sleep(RESEND_S)
                if flow.unacked and flow.bytes_acked_by_guest == seen:
                    first = bytes(flow.unacked[: flow.mss])
                    seq = flow.host_iss + 1 + seen & 0xFFFFFFFF
                    flags = net.TCP_ACK | net.TCP_PSH
                    to_guest(self._build_tcp_frame(flow, flags=flags, seq=seq, payload=first))

    class Udp(nat.UdpRelay):
        async def _relay(
            self,
            guest_mac: bytes,
            guest_ip: bytes,
            guest_port: int,
            query: bytes,
            upstream: tuple[str, int],
            reply_src_ip: bytes,
            reply_src_port: int,
        ) -> None:
            if reply_src_port == DNS_PORT:
                answer = answer_dns(query, network.names)
                self._reply(guest_mac, guest_ip, guest_port, answer, reply_src_ip)
            elif reply_src_port in network.ports:
                upstream = (LOOPBACK, network.ports[reply_src_port])
                await super()._relay(
                    guest_mac, guest_ip, guest_port, query, upstream, reply_src_ip, reply_src_port
                )

        def _reply(self, mac: bytes, to: bytes, port: int, data: bytes, source: bytes) -> None:
            packet = net.pack_udp(source, to, DNS_PORT, port, data)
            packet = net.pack_ipv4(source, to, net.IP_PROTO_UDP, packet)
            gateway = nat.GATEWAY_MAC
            to_guest(net.pack_ethernet(mac, gateway, net.ETHERTYPE_IPV4, packet))

    bridge = Bridge()
    bus.nat_bridge = bridge
    return bridge


def answer_dns(query: bytes, names: set[str] | None) -> bytes:
    """The reply to a DNS query for one A record (RFC 1035 4.1): ANY_HOST, or "no such name"."""
    end = query.find(b"\0", DNS_HEADER) + 5
    question = query[DNS_HEADER:end]
    known = names is None or _name(question) in names
    flags, count = (b"\x81\x80", 1) if known else (b"\x81\x83", 0)
    header = query[:2] + flags + b"\0\x01" + count.to_bytes(2, "big") + b"\0\0\0\0"
    answer = b"\xc0\x0c\0\x01\0\x01" + DNS_ANSWER_TTL_S.to_bytes(4, "big") + b"\0\x04" + ANY_HOST
    return header + question + (answer if known else b"")


def _name(question: bytes) -> str:
    labels: list[str] = []
    position = 0
    while position < len(question) and question[position]:
        length = question[position]
        labels.append(question[position + 1 : position + 1 + length].decode("ascii", "replace"))
        position += 1 + length
    return ".".join(labels)
