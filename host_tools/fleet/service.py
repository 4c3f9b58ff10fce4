"""`uward serve`: broker, collector and release service of one fleet, in one event loop."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from host_tools import keyring, project
from host_tools.errors import HostError
from host_tools.fleet import (
    acl,
    est_service,
    external,
    limits,
    reference,
    rollouts,
    shares,
    upkeep,
)
from host_tools.fleet.answers import Notice, Publications
from host_tools.fleet.attestations import Attestations, Folder
from host_tools.fleet.broker import EmbeddedBroker
from host_tools.fleet.collector import Collector
from host_tools.fleet.dispatch import Dispatch
from host_tools.fleet.identity import TlsFiles, client_context, load
from host_tools.fleet.inventory import Inventory
from host_tools.fleet.link import Address, Link
from host_tools.fleet.mosquitto import Mosquitto
from host_tools.fleet.offers import Releases
from host_tools.fleet.registrar import Registrar
from host_tools.fleet.rollouts import Rollouts
from host_tools.fleet.shares import Shares
from host_tools.fleet.store import Store
from host_tools.pki import leaf
from host_tools.pki.ca import DEVICES, SERVICES, Ca
from host_tools.project import Project
from host_tools.signing import keys
from host_tools.signing.log import Log

BrokerKind = Literal["embedded", "mosquitto", "external"]
OnEvent = Callable[[Notice], None]
DATABASE = "collector.db"


@dataclass(frozen=True)
class Ready:
    """A running service. `port` is the broker's, also when 0 was asked for."""

    host: str
    port: int
    database: Path
    collector: Collector
    link: Link
    est_port: int = 0  # 0: no EST service


def database_path(fleet: Project) -> Path:
    return fleet.folder("collector") / DATABASE


def broker_files(fleet: Project) -> TlsFiles:
    """What the broker needs: its identity, both chains, the revocation lists of their CAs."""
    ca = Ca(fleet.folder("ca"))
    folder = fleet.folder("broker")
    kinds = (SERVICES, DEVICES)
    chains, lists = external.parts(fleet)
    return TlsFiles(
        (*(ca.chain_path(kind) for kind in kinds), *chains),
        folder / leaf.CERTIFICATE,
        folder / leaf.KEY,
        (*(ca.crl_pem_path(base) for kind in kinds for base in ca.shelf.bases(kind)), *lists),
    )


def collector_files(fleet: Project) -> TlsFiles:
    """What the collector's client needs: its identity, and the chain of the broker's CA."""
    folder = fleet.folder(acl.COLLECTOR)
    chain = Ca(fleet.folder("ca")).chain_path(SERVICES)
    return TlsFiles((chain,), folder / leaf.CERTIFICATE, folder / leaf.KEY)


@asynccontextmanager
async def running(
    fleet_dir: Path,
    host: str | None = None,
    port: int | None = None,
    broker: BrokerKind = "embedded",
    on_event: OnEvent | None = None,
    restored: bool = False,
) -> AsyncGenerator[Ready]:
    """The services of the fleet in `fleet_dir`, up when this is entered, down when it is left.

    host, port: where the broker listens (or the external one is), default as in uward.toml.
    restored: the database came back from a snapshot of the disk (`witness`).
    Raises UsageError (fleet, key or mosquitto missing) and DeviceError (port, database).
    """
    fleet = project.load(fleet_dir)
    at = (host or fleet.broker.host, fleet.broker.port if port is None else port)
    tell = on_event or _silent
    store = Store(database_path(fleet), restored=restored)
    try:
        upkeep.renew_crls(fleet, tell)
        registrar = est_service.make_registrar(fleet)
        collector = _collector(fleet, store, registrar)
        async with (
            _broker(fleet, broker, *at, tell) as actual,
            _est(fleet, registrar, *at, tell) as est_port,
        ):
            context = client_context(collector_files(fleet), fleet.broker.name)
            link = Link(collector, Address(_reachable(at[0]), actual, context), tell)
            renewed = partial(load, context, collector_files(fleet))
            async with _task(link.run()), _task(upkeep.keep(fleet, tell, renewed)):
                yield Ready(at[0], actual, store.path, collector, link, est_port)
    finally:
        store.close()


async def serve(
    fleet_dir: Path,
    host: str | None = None,
    port: int | None = None,
    broker: BrokerKind = "embedded",
    on_event: OnEvent | None = None,
    restored: bool = False,
    on_ready: Callable[[Ready], None] | None = None,
) -> None:
    """As `running`, until cancelled."""
    async with running(fleet_dir, host, port, broker, on_event, restored) as ready:
        if on_ready is not None:
            on_ready(ready)
        await asyncio.Event().wait()


def _collector(fleet: Project, store: Store, registrar: Registrar) -> Collector:
    holder = fleet.roles["collector"].holders[0]
    private = keys.load_ecdh(keyring.key_path(fleet, "collector", holder))
    kek = keyring.kek_path(fleet)
    inventory = Inventory(fleet.folder("devices"))
    staged = Rollouts(fleet.folder("rollouts"), inventory, rollouts.asking(store))
    return Collector(
        store,
        inventory,
        Releases(fleet.folder("releases"), time.monotonic, staged.admits),
        private,
        est_service.time_signer(fleet),
        Publications(
            fleet.folder("trust"),
            Ca(fleet.folder("ca")).crl_path(SERVICES),
            keys.load_kek(kek) if kek.is_file() else None,
            own_kek=lambda device: keyring.own_kek(fleet, device),
            orders=Dispatch(fleet.folder("policy"), fleet.folder("commands")),
            rollouts=staged,
            log=Log(fleet.folder("transparency")).proof,
            share=Shares(fleet.folder(shares.FOLDER)).get,
        ),
        Attestations(Folder(fleet.folder("attest")), lambda board: reference.load(fleet, board)),
        registrar,
    )


@asynccontextmanager
async def _broker(
    fleet: Project, kind: BrokerKind, host: str, port: int, tell: OnEvent
) -> AsyncGenerator[int]:
    if kind == "external":
        yield port
        return
    tls = broker_files(fleet)

    def notice(event: str, reason: str) -> None:
        tell(Notice(time.time(), "", "event", f"{event} {reason}"))

    if kind == "embedded":
        server = EmbeddedBroker(tls, host, port, notice)
    else:
        server = Mosquitto(tls, fleet.folder("broker") / "mosquitto", host, port)
    await server.start()
    stop = asyncio.Event()
    watch = asyncio.create_task(_watch(lambda: broker_files(fleet), server.reload, notice, stop))
    try:
        yield server.port
    finally:
        stop.set()
        await watch  # never cancelled: a half started child would be left behind
        await server.shutdown()


@asynccontextmanager
async def _est(
    fleet: Project, registrar: Registrar, host: str, port: int, tell: OnEvent
) -> AsyncGenerator[int]:
    """EST beside the broker; where the broker's port is any free one, so is this."""
    if not fleet.broker.est_port:
        yield 0
        return
    wanted = fleet.broker.est_port if port else 0
    tls = broker_files(fleet)
    async with est_service.running(fleet, registrar, host, wanted, tls, tell) as actual:
        yield actual


async def _watch(
    look: Callable[[], TlsFiles],
    reload: Callable[[TlsFiles], Awaitable[None]],
    notice: Callable[[str, str], None],
    stop: asyncio.Event,
) -> None:
    """Tell the broker when a list, a chain or its certificate was renewed, until `stop`."""
    known = look().stamps()
    while not stop.is_set():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), limits.REVOCATION_POLL_S)
        if stop.is_set():
            continue
        try:
            files = look()
            if files.stamps() != known:
                known = files.stamps()
                await reload(files)
        except HostError as error:
            notice("broker.failed", str(error))


@asynccontextmanager
async def _task(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """`work` beside the block; cancelled at its end. Its failure ends the block."""
    outer = asyncio.current_task()
    task = asyncio.create_task(work)

    def ended(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and outer is not None:
            outer.cancel()

    task.add_done_callback(ended)
    try:
        yield
    except asyncio.CancelledError:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error from None
        raise
    finally:
        while not task.done():  # before Python 3.12 wait_for may swallow a cancellation
            task.cancel()
            await asyncio.wait({task}, timeout=limits.CANCEL_AGAIN_S)


def _reachable(host: str) -> str:
    """Where our own client finds a broker that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def _silent(notice: Notice) -> None:
    """Without a listener, notices stay in the database only."""
