"""Scenario for `faults`: a device gets a new key pair, and the power goes at each flash operation.

Whatever was cut, the pair that the next connection shows is one that the CA has certified, and the
life goes on from there.
"""

import os

import faults


def _need(condition, what):
    if not condition:
        raise ValueError("after a cut: " + what)


def renewed(files, secret, issued, now, works=True, careless=False):
    """files: {path: hex} of an enrolled board; secret: the key that it makes; issued: the
    certificate for it; works: the broker takes it; careless: the old pair goes too early.
    -> [cuts, how often the next connection showed the old pair, and the new one]"""
    faults.free_root()
    import device_renewal
    from uward import port
    from uward.crypto import p256
    from uward.link import renewal

    p256.keygen = lambda rng: (bytes.fromhex(secret), None)
    port.set_time(now)
    data = faults.blank(40)
    shown = {"old": 0, "new": 0}

    def ready(_):
        os.mkdir("/id")
        for path in files:
            with open(path, "wb") as f:
                f.write(bytes.fromhex(files[path]))

    faults.powered(data, "/", ready)

    def life():
        """Connect and ask, until the new pair is the only one, or was refused and forgotten."""
        agent, station = device_renewal._Agent(), device_renewal._Station()
        for _ in range(6):
            uplink = device_renewal._Uplink()
            uplink.station = station
            pair = station.show()
            if pair == "old" or works:
                station.due = pair == "old" and renewal.own()[4].hex() != issued
                renewal.proved(agent, uplink)
            if uplink.told and "id.kept" not in [name for name, _ in agent.events]:
                uplink.session = device_renewal._Session(["issued", bytes.fromhex(issued)])
                if careless:
                    os.remove("/id/dev")
                renewal.take(agent, uplink, "est", b"")
            station._restore(station)

    def scenario(_):
        life()

    def check(_, done):
        if not done:
            shown[device_renewal._Station().show()] += 1
            life()
        _need((renewal.own()[4].hex() == issued) is works, "certificate")
        _need((renewal.own()[2].hex() == secret) is works, "key")
        _need(not works or renewal._pending() is None, "nothing is pending")

    cuts = faults.sweep(data, "/", scenario, check)
    return [cuts, shown["old"], shown["new"]]
