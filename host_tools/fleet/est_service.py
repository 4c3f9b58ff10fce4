"""The EST service of one fleet: its CA, its devices, its port (see `est_server`)."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from host_tools import keyring
from host_tools.fleet import upkeep
from host_tools.fleet.answers import Notice
from host_tools.fleet.est_server import Desk, EstServer
from host_tools.fleet.identity import TlsFiles
from host_tools.fleet.inventory import Inventory
from host_tools.fleet.registrar import FOLDER, Registrar
from host_tools.pki.ca import BIRTH, DEVICES, Ca
from host_tools.project import Project
from host_tools.signing import cose, keys


def make_registrar(fleet: Project, ca: Ca | None = None) -> Registrar:
    """Signs at once when the key of the devices' CA is here and needs nobody."""
    ca = ca or upkeep.open_ca(fleet)
    inventory = Inventory(fleet.folder("devices"))
    return Registrar(ca, inventory, fleet.folder(FOLDER), ca.can_sign(DEVICES))


def time_signer(fleet: Project) -> cose.Signer | None:
    """The signer of role time, if its key is here."""
    path = keyring.key_path(fleet, "time", fleet.roles["time"].holders[0])
    return keys.load_signer(path) if path.is_file() else None


@asynccontextmanager
async def running(
    fleet: Project,
    registrar: Registrar,
    host: str,
    port: int,
    tls: TlsFiles,
    tell: Callable[[Notice], None],
) -> AsyncGenerator[int]:
    """The service on (host, port), up for the block; gives its port. Raises DeviceError."""
    ca = upkeep.open_ca(fleet)

    def notice(event: str, reason: str) -> None:
        tell(Notice(time.time(), "", "event", f"{event} {reason}"))

    chains = tuple(ca.chain_path(kind) for kind in (BIRTH, DEVICES))
    server = EstServer(tls, chains, Desk(ca, registrar, time_signer(fleet)), notice)
    await server.start(host, port)
    try:
        yield server.port
    finally:
        await server.shutdown()
