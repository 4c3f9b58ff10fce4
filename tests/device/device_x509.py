"""Requests, certificates and CRLs on the device, as JSON."""

from binascii import hexlify, unhexlify

from uward.crypto import p256
from uward.trust import x509


def _hex(data):
    return hexlify(data).decode()


def request(private, common_name, challenge):
    private = unhexlify(private)
    public = p256.public_key(private)
    return _hex(x509.csr(common_name, public, lambda d: p256.sign(private, d), challenge))


def certificate(data):
    parsed = x509.parse_certificate(unhexlify(data))
    out = {"extended_key_usage": [_hex(oid) for oid in parsed.extended_key_usage]}
    for name in ("serial", "issuer", "subject", "public_key"):
        out[name] = _hex(getattr(parsed, name))
    for name in ("common_name", "not_before", "not_after", "key_usage", "is_ca", "path_length"):
        out[name] = getattr(parsed, name)
    return out


def crl(data, issuer):
    parsed = x509.parse_crl(unhexlify(data))
    parsed.verify(x509.parse_certificate(unhexlify(issuer)))
    out = {"issuer": _hex(parsed.issuer), "serials": [_hex(serial) for serial in parsed.serials]}
    out["this_update"], out["next_update"] = parsed.this_update, parsed.next_update
    return out
