"""The COSE working group's examples on the device: what is believed, what is refused and why."""

from binascii import hexlify
from binascii import unhexlify as unhex

from uward.codec import cbor, cose
from uward.crypto import p256
from uward.errors import UwardError

_TAGS = {"sign": 98, "sign0": 18, "mac0": 17, "encrypted": 16}


def _message(case):
    data = unhex(case["cbor"])
    tag = _TAGS[case["kind"]]
    value = cbor.decode(data, ordered=False)
    if isinstance(value, list):  # an untagged example: the context says what it is
        return cose.from_array(tag, value, ordered=False)
    return cose.parse(data, tag, ordered=False)


def _judge(case):
    """-> one "ok" or refusal for each key of the case."""
    message = _message(case)
    external = [unhex(text) for text in case["external"]]
    if case["kind"] == "mac0":
        cose.verify_mac(message, unhex(case["keys"][0]), external[0])
        return ["ok"]
    if case["kind"] == "encrypted":
        plain = cose.decrypt0(message, unhex(case["keys"][0]), external[0])
        return ["ok" if plain == b"This is the content." else "another plaintext"]
    verdicts = []
    for i in range(len(message.blocks)):
        try:
            key = cose.parse_key(unhex(case["keys"][i]))
            cose.verify(message, message.blocks[i], key, external[i])
            verdicts.append("ok")
        except UwardError as e:
            verdicts.append("%s: %s" % (type(e).__name__, e))
    return verdicts


def judge(cases):
    out = []
    for case in cases:
        try:
            out.append(_judge(case))
        except UwardError as e:
            out.append(["%s: %s" % (type(e).__name__, e)])
    return out


def objects(private):
    """-> hex of one Sign1, Mac0 and Encrypt0 each, checked here as well."""
    private = unhex(private)
    public = p256.public_key(private)
    signed = cose.sign1(lambda digest: p256.sign(private, digest), b"payload", external_aad=b"d")
    message = cose.parse(signed, cose.SIGN1)
    cose.verify(message, message.blocks[0], cose.Key(2, public), b"d")
    mac = cose.mac0(bytes(32), b"payload", external_aad=b"d")
    cose.verify_mac(cose.parse(mac, cose.MAC0), bytes(32), b"d")
    iv = bytes(range(13))
    sealed = cose.encrypt0(bytes(32), b"payload", {1: 31}, {6: b"\5"}, b"d", iv)
    cose.decrypt0(cose.parse(sealed, cose.ENCRYPT0), bytes(32), b"d", iv)
    return [hexlify(data).decode() for data in (signed, mac, sealed)]
