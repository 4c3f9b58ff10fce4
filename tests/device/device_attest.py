"""Attestation on the device: the token of a board whose files lie under `root`."""

from device_defences import at, told


def token(root, nonce, info, live):
    """-> hex of the token; bytes in `info` are hex."""
    at(root)
    from uward.guard import attest

    plain = dict(info)
    for name in ("manifest", "vendor", "class"):
        plain[name] = bytes.fromhex(info[name])
    return attest.token(bytes.fromhex(nonce), plain, live).hex()


class _Session:
    def __init__(self, value):
        self._value = value

    def open(self, purpose, payload):
        return self._value


class _Uplink:
    def __init__(self, value):
        self.session = _Session(value)
        self.said = []

    def tell(self, purpose, body):
        self.said.append(purpose)


def asked(value):
    """-> what `take` says to a challenge; a list of ints is bytes."""
    from uward.errors import UwardError
    from uward.guard import attest

    uplink = _Uplink(bytes(value) if isinstance(value, list) else value)
    try:
        attest.take(None, uplink, "att", b"")
    except UwardError as e:
        return told(e)
    return uplink.said
