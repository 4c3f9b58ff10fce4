"""What the unlocked console does (SPEC 12): status, a signed command, Wi-Fi, recovery."""

from uward import lazy, limits, port
from uward.codec import cbor
from uward.compat import const
from uward.errors import CodecError, CommandRefused
from uward.vault import keys, sealed

_ADMIN = const(4)
_PROVED = const(2)  # time quality (SPEC 8)
_SSID = const(32)  # bytes (IEEE 802.11 9.4.2.2)
_PSK = (8, 63)  # characters of a passphrase (IEEE 802.11 J.4)


async def request(console, name, arguments):
    """-> what is answered. CommandRefused `con.denied` for what this role may not."""
    if name == "status":
        return _status(console.agent, console.uplink)
    if name == "command":
        return await _command(console, *_demand(name, arguments, bytes))
    if name not in _ADMINS:
        raise CommandRefused("con.denied", "the console has no %s" % name)
    if console.role != _ADMIN:
        raise CommandRefused("con.denied", "%s takes role admin" % name)
    return _ADMINS[name](console, arguments)


def _status(agent, uplink):
    info = agent.info
    return {
        "board": info["board"],
        "version": info["version"],
        "slot": info["slot"],
        "trial": info["trial"],
        "reason": info["reason"],
        "trust": info["trust"],
        "ssid": cbor.decode(sealed.read(keys.root(), "/id/net"))[1],
        "online": uplink is not None and uplink.online,
        "waiting": agent.uncommitted(),
        "uptime": agent.uptime() // 1000,
        "heap": port.heap_free(),
    }


async def _command(console, data):
    """A signed command without the network, if the policy takes it here. -> its signed result."""
    agent, uplink = console.agent, console.uplink
    device = cbor.decode(sealed.read(keys.root(), "/id/dev"))[1]
    station = None if uplink is None else uplink.station
    proved = station is not None and station.clock.quality == _PROVED
    command = lazy.use("guard.command")
    return await command.obey(agent, device, data, console.challenge, proved, online=False)


def _wifi(console, arguments):
    """Another network, from the next boot on, which is soon."""
    ssid, psk = _demand("wifi", arguments, str, str)
    if not 0 < len(ssid.encode()) <= _SSID or not _PSK[0] <= len(psk) <= _PSK[1]:
        raise CodecError("console: expected an SSID of 1..32 bytes, a key of 8..63 characters")
    root = keys.root()
    net = cbor.decode(sealed.read(root, "/id/net"))
    net[1], net[2] = ssid, psk
    sealed.write(root, "/id/net", cbor.encode(net))
    console.agent.event("con.wifi", "now %r" % ssid)
    console.agent.reset_soon()


def _recovery(console, arguments):
    """The recovery image, until the power goes or it has run well for a while (S4)."""
    _demand("recovery", arguments)

    def then():
        lazy.use("boot.early").set_crashes(limits.CRASHES_RECOVERY)
        port.reset()

    console.agent.event("con.recovery", "asked for")
    console.then = then


_ADMINS = {"wifi": _wifi, "recovery": _recovery}


def _demand(name, arguments, *kinds):
    if [type(item) for item in arguments] != list(kinds):
        raise CodecError("console: expected other arguments of %s" % name)
    return arguments
