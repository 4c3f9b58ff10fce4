"""A real broker: mosquitto 2, configured like the embedded one and run as a child process.

Differences that stay, and that the tests name: mosquitto replaces a foreign client id by the
certificate's common name instead of refusing it, and grants a foreign subscription that then
brings nothing. Both keep a client to its own topics.
"""

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
from pathlib import Path

from host_tools.errors import DeviceError, UsageError
from host_tools.fleet import acl, limits
from host_tools.fleet.identity import CIPHERS, TlsFiles

PROGRAM = "mosquitto"
PLACES = f"{os.defpath}:/usr/sbin:/usr/local/sbin"  # Debian keeps it out of a user's PATH
READY_WAIT_S = 10.0
STOP_WAIT_S = 5.0


def find() -> str | None:
    """The mosquitto program, or None when it is not installed."""
    return shutil.which(PROGRAM) or shutil.which(PROGRAM, path=PLACES)


def config(files: TlsFiles, folder: Path, host: str, port: int) -> str:
    """The text of mosquitto.conf (mosquitto.conf(5), version 2.0)."""
    lines = [
        f"user {getpass.getuser()}",  # started by root it would change to one that reads no key
        "per_listener_settings false",
        "allow_anonymous false",
        "persistence false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages true",
        "retain_available false",
        "sys_interval 0",
        f"message_size_limit {limits.MESSAGE_BYTES}",
        f"max_packet_size {limits.MESSAGE_BYTES}",
        f"max_keepalive {limits.KEEPALIVE_MAX_S}",
        f"max_queued_messages {limits.QUEUE_SERVICE}",
        f"max_inflight_messages {limits.INFLIGHT}",
        "persistent_client_expiration 30d",
        f"acl_file {folder / 'acl'}",
        "",
        f"listener {port} {host}",
        f"max_connections {limits.CONNECTIONS}",
        "max_qos 1",
        f"cafile {folder / 'trusted.pem'}",
        f"certfile {files.certificate}",
        f"keyfile {files.key}",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "tls_version tlsv1.2",
        f"ciphers {CIPHERS}",
    ]
    if files.crls:
        lines.append(f"crlfile {folder / 'crls.pem'}")
    return "\n".join(lines) + "\n"


def write_config(files: TlsFiles, folder: Path, host: str, port: int) -> Path:
    """Write mosquitto.conf, the ACL and the joined revocation lists; returns the first."""
    files.check()
    for path in (files.certificate, files.key, folder):
        if any(c.isspace() for c in str(path)):
            raise UsageError(f"{path}: mosquitto takes no path with spaces")
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "acl", acl.mosquitto_rules())
    _write(folder / "trusted.pem", _joined(files.chains))
    _write(folder / "crls.pem", _joined(files.crls))
    _write(folder / "mosquitto.conf", config(files, folder, host, port))
    return folder / "mosquitto.conf"


def _joined(paths: tuple[Path, ...]) -> str:
    return "".join(path.read_text("ascii") for path in paths)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


class Mosquitto:
    """A mosquitto child process on (host, port); port 0 takes a free one."""

    def __init__(self, files: TlsFiles, folder: Path, host: str, port: int) -> None:
        self._files = files
        self._folder = folder
        self._host = host
        self.port = port or _probe(host, 0)
        self._process: asyncio.subprocess.Process | None = None
        self._log = folder / "mosquitto.log"

    async def start(self) -> None:
        """Returns when the port answers. UsageError: not installed; DeviceError: did not start."""
        program = find()
        if program is None:
            raise UsageError("mosquitto is not installed", "apt-get install mosquitto")
        _probe(self._host, self.port)  # else whoever holds the port would look like a ready broker
        path = write_config(self._files, self._folder, self._host, self.port)
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                program, "-c", str(path), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            await asyncio.wait_for(self._until_ready(), READY_WAIT_S)
        except asyncio.TimeoutError as error:
            await self.shutdown()
            raise DeviceError("mosquitto did not listen in time", f"see {self._log}") from error

    async def _until_ready(self) -> None:
        while True:
            if self._process is None or self._process.returncode is not None:
                raise DeviceError(f"mosquitto ended: {self._last_line()}", f"see {self._log}")
            try:
                _, writer = await asyncio.open_connection(self._host, self.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return

    async def reload(self, files: TlsFiles) -> None:
        """Lists, chains or our certificate have changed: a restart, for SIGHUP ends no session."""
        self._files = files
        await self.shutdown()
        await self.start()

    async def shutdown(self) -> None:
        """Stop it: politely, then not."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WAIT_S)
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _last_line(self) -> str:
        lines = self._log.read_text("utf-8", "replace").splitlines()
        return lines[-1] if lines else "it said nothing"


def _probe(host: str, port: int) -> int:
    """The port, or a free one for 0. Raises DeviceError when it cannot be listened on."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise DeviceError(
            f"the broker cannot listen on {host}:{port}: {error.strerror}",
            "another program may hold the port; choose one with --port",
        ) from error
