"""Certificates that a device is given: taken, kept, refused; on files under a folder."""

import device_defences


class _Session:
    """`down/est`, opened; None: heard before."""

    def __init__(self, value):
        self._value = value

    def open(self, purpose, payload):
        return self._value


class _Agent:
    def __init__(self):
        self.events = []

    def event(self, name, reason=""):
        self.events.append([name, reason])


class _Uplink:
    def __init__(self, value=None):
        self.session = _Session(value)
        self.told = []

    def tell(self, purpose, body):
        self.told.append([purpose, body[0], body[1].hex()])


def taken(root, now, values):
    """Hand answers in: [name, hex or text] each. -> outcome, events; then the certificate kept."""
    device_defences.at(root)
    from uward import port
    from uward.errors import UwardError
    from uward.link import renewal

    port.set_time(now)
    out = []
    for value in values:
        if isinstance(value, list) and len(value) == 2 and value[0] == "issued":
            value = [value[0], bytes.fromhex(value[1])]
        agent = _Agent()
        try:
            renewal.take(agent, _Uplink(value), "est", b"")
            outcome = ""
        except UwardError as e:
            outcome = device_defences.told(e)
        out.append([outcome, agent.events])
    own = renewal.own()
    out.append([own[4].hex(), own[1], own[2].hex()])
    return out


class _Station:
    """What the uplink's station does with key pairs; connections are the test's."""

    def __init__(self, due=True):
        from uward.link.station import Station

        self.trial = None
        self.due = due
        self.clock = self
        self._pair = Station._pair
        self._restore = Station.restore

    def renewal_due(self):
        return self.due

    def restore(self):
        """Of the clock."""

    def show(self):
        """-> "new" or "old": the pair that a connection shows, which must be one."""
        from uward.crypto import p256
        from uward.trust import x509

        value, new = self._pair(self)
        if x509.parse_certificate(value[4]).public_key != p256.public_key(value[2]):
            raise ValueError("the key is not that of the certificate")
        if new:
            self.trial = True
        return "new" if new else "old"


def lived(root, now, secrets, steps):
    """What came of each step. secrets: the keys that this device makes one after the other, hex.

    ask; [issued, hex of a certificate]; show: a connection shows a pair; fail: it ends unproved;
    proved: its time is; boot; kept: what is in flash, as the names of key, certificate, file.
    """
    device_defences.at(root)
    from uward import port
    from uward.crypto import p256
    from uward.errors import UwardError
    from uward.link import renewal

    port.set_time(now)
    keygen = p256.keygen
    p256.keygen = lambda rng: (bytes.fromhex(secrets.pop(0)), None)
    station, agent, out = _Station(), _Agent(), []
    try:
        for step in steps:
            uplink = _Uplink(step)
            uplink.station = station
            if step == "boot":
                station = _Station()
            try:
                out.append(_step(step, renewal, agent, uplink, station))
            except UwardError as e:
                out.append(device_defences.told(e))
    finally:
        p256.keygen = keygen
    return [out, agent.events]


def _step(step, renewal, agent, uplink, station):
    if step == "ask":
        station.due = True
        renewal.ask(uplink)
        return uplink.told
    if step == "show":
        return station.show()
    if step == "fail":
        return station._restore(station)
    if step == "proved":
        station.due = False
        return renewal.proved(agent, uplink)
    if step == "kept":
        new = renewal._pending()
        return [renewal.own()[2].hex(), None if new is None else sorted(new)]
    if step == "boot":
        return None
    uplink.session = _Session([step[0], bytes.fromhex(step[1])])
    return renewal.take(agent, uplink, "est", b"")


def found(root, bodies):
    """EST answers in hex. -> the certificate of each, or the refusal."""
    device_defences.at(root)
    from uward.errors import UwardError
    from uward.link import est_answer, renewal

    own = renewal.own()
    out = []
    for body in bodies:
        try:
            out.append(est_answer.find(bytes.fromhex(body), own).hex())
        except UwardError as e:
            out.append(device_defences.told(e))
    return out


def heads(texts):
    """Heads of HTTP answers. -> [status, length, place] or the refusal."""
    from uward.errors import UwardError
    from uward.link import est_answer

    out = []
    for text in texts:
        try:
            out.append(list(est_answer.parse(text.encode())))
        except UwardError as e:
            out.append(device_defences.told(e))
    return out
