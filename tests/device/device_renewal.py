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


def asked(root):
    """-> what is told when a certificate is asked for."""
    device_defences.at(root)
    from uward.link import renewal

    uplink = _Uplink()
    renewal.ask(uplink)
    return uplink.told


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
