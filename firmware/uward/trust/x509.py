"""X.509 (RFC 5280) as far as a device needs it: make a request, read a certificate or a CRL.

Chains are TLS's to verify; these readers tell who a verified peer is, and what it may do. What a
field may hold beyond our profile (P-256, ECDSA with SHA-256) is read over or None, never guessed.
"""

from uward import limits
from uward.codec import der
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import CodecError, KeyRefused, LimitError

DIGITAL_SIGNATURE = const(0x8000)  # key usage: the first bits of a 16-bit string (4.2.1.3)
KEY_CERT_SIGN = const(0x0400)
CRL_SIGN = const(0x0200)
SERVER_AUTH = b"\x2b\x06\x01\x05\x05\x07\x03\x01"  # 4.2.1.12
CLIENT_AUTH = b"\x2b\x06\x01\x05\x05\x07\x03\x02"

_COMMON_NAME = b"\x55\x04\x03"
_CHALLENGE = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07"  # challengePassword, RFC 2985 5.4.1
_ECDSA_SHA256 = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"  # AlgorithmIdentifier
_P256_SPKI = (  # SubjectPublicKeyInfo up to the point: id-ecPublicKey, prime256v1, 04
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
    b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"
)
_KEY_USAGE = b"\x55\x1d\x0f"
_BASIC_CONSTRAINTS = b"\x55\x1d\x13"
_EXTENDED_KEY_USAGE = b"\x55\x1d\x25"
_CRL_NUMBER = b"\x55\x1d\x14"
_PARTIAL = (b"\x55\x1d\x1b", b"\x55\x1d\x1c")  # delta CRL, issuing distribution point
_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)  # before each month


def csr(common_name, public_key_xy, sign, challenge=None):
    """-> PKCS#10 (RFC 2986) in DER.

    challenge: challengePassword, text, or None; sign(digest) -> r | s, 64 bytes.
    """
    attribute = b""
    if challenge is not None:
        attribute = der.tlv(
            der.SEQUENCE,
            der.tlv(der.OID, _CHALLENGE),
            der.tlv(der.SET, der.tlv(der.UTF8, challenge.encode())),
        )
    info = der.tlv(
        der.SEQUENCE,
        der.integer(b"\0"),
        _name(common_name),
        _P256_SPKI + public_key_xy,
        der.tlv(0xA0, attribute),
    )
    raw = sign(sha256(info))
    signature = der.tlv(der.SEQUENCE, der.integer(raw[:32]), der.integer(raw[32:]))
    return der.tlv(der.SEQUENCE, info, _ECDSA_SHA256, der.tlv(der.BITS, b"\0", signature))


def _name(common_name):
    pair = der.tlv(der.OID, _COMMON_NAME), der.tlv(der.UTF8, common_name.encode())
    return der.tlv(der.SEQUENCE, der.tlv(der.SET, der.tlv(der.SEQUENCE, *pair)))


class Certificate:
    """serial (big-endian bytes), issuer and subject (DN in DER), common_name (str or None),
    not_before and not_after (unix seconds), spki (DER), public_key (x | y, or None if not P-256),
    key_usage (bits as above, or None), extended_key_usage (list of OIDs in DER, or None),
    is_ca (bool), path_length (int or None)."""

    def __init__(self, data):
        outer = der.open(data)
        whole = outer.enter(der.SEQUENCE)
        outer.done()
        body = whole.enter(der.SEQUENCE)
        if body.next(0xA0) != b"\2\1\2":
            raise CodecError("x509: expected version 3, got another")
        self.serial = _serial(body)
        body.next(der.SEQUENCE)
        self.issuer = body.whole(der.SEQUENCE)
        validity = body.enter(der.SEQUENCE)
        self.not_before = _time(validity)
        self.not_after = _time(validity)
        validity.done()
        self.subject = body.whole(der.SEQUENCE)
        self.common_name = _common_name(self.subject)
        self.spki = body.whole(der.SEQUENCE)
        known = len(self.spki) == 91 and self.spki.startswith(_P256_SPKI)
        self.public_key = self.spki[27:] if known else None
        self.key_usage = self.extended_key_usage = self.path_length = None
        self.is_ca = False
        self._extensions(body)
        whole.next(der.SEQUENCE)
        whole.next(der.BITS)
        whole.done()

    def _extensions(self, body):
        if not body.more():
            return
        wrapper = body.enter(0xA3)
        body.done()
        for oid, value in _extensions(wrapper.enter(der.SEQUENCE)):
            if oid == _KEY_USAGE:
                self.key_usage = _bits(value)
            elif oid == _BASIC_CONSTRAINTS:
                self._basic_constraints(value)
            elif oid == _EXTENDED_KEY_USAGE:
                self.extended_key_usage = _oids(value)
        wrapper.done()

    def _basic_constraints(self, value):
        fields = value.enter(der.SEQUENCE)
        if fields.peek() == der.BOOLEAN:
            if fields.next(der.BOOLEAN) != b"\xff":  # TLS takes any but 0 for TRUE (X.690 11.1)
                raise CodecError("x509: expected TRUE in DER, got another boolean")
            self.is_ca = True
        if fields.more():
            self.path_length = int.from_bytes(fields.next(der.INTEGER), "big")
        fields.done()


def parse_certificate(data):
    """DER -> Certificate; CodecError or LimitError."""
    return Certificate(data)


class RevocationList:
    """issuer (DN in DER), number, this_update and next_update (unix seconds; None if absent),
    serials. A list that is not its issuer's whole one is refused (RFC 5280 5.2.4, 5.2.5)."""

    def __init__(self, data):
        outer = der.open(data)
        whole = outer.enter(der.SEQUENCE)
        outer.done()
        body = whole.whole(der.SEQUENCE)
        if whole.whole(der.SEQUENCE) != _ECDSA_SHA256:
            raise CodecError("crl: expected ECDSA with SHA-256, got another algorithm")
        self._signature = _signature(whole)
        self._digest = sha256(body)
        fields = der.Reader(body).enter(der.SEQUENCE)
        if fields.peek() != der.INTEGER or fields.next(der.INTEGER) != b"\1":
            raise CodecError("crl: expected version 2, got another")
        fields.next(der.SEQUENCE)
        self.issuer = fields.whole(der.SEQUENCE)
        self.this_update = _time(fields)
        dated = fields.peek() in (der.UTC_TIME, der.GENERALIZED_TIME)
        self.next_update = _time(fields) if dated else None
        self.serials = _revoked(fields) if fields.peek() == der.SEQUENCE else []
        self.number = _crl_number(fields)

    def verify(self, issuer):
        """issuer: Certificate of the CA. BadSignature, or KeyRefused when it may not sign this."""
        if issuer.subject != self.issuer or issuer.public_key is None:
            raise KeyRefused("crl: expected its issuer's P-256 certificate, got another")
        if not issuer.is_ca or not (issuer.key_usage or 0) & CRL_SIGN:
            raise KeyRefused("crl: expected a CA that signs revocation lists, got another")
        from uward.crypto import p256  # imported when needed (S20)

        p256.verify(issuer.public_key, self._digest, self._signature)


def parse_crl(data):
    """DER -> RevocationList, its signature not yet judged; CodecError or LimitError."""
    return RevocationList(data)


def _serial(reader):
    return reader.next(der.INTEGER).lstrip(b"\0")


def _revoked(fields):
    serials = []
    entries = fields.enter(der.SEQUENCE)
    while entries.more():
        entry = entries.enter(der.SEQUENCE)
        serials.append(_serial(entry))
        _time(entry)
        if len(serials) > limits.CRL_ENTRIES:
            raise LimitError("crl: expected <= %d entries, got more" % limits.CRL_ENTRIES)
    return serials


def _crl_number(fields):
    """The end of a tbsCertList -> its CRL number (RFC 5280 5.2.3), which ours must have."""
    number = None
    if fields.more():
        wrapper = fields.enter(0xA0)
        fields.done()
        for oid, value in _extensions(wrapper.enter(der.SEQUENCE)):
            if oid in _PARTIAL:
                raise CodecError("crl: expected a whole list, got a part of one")
            if oid == _CRL_NUMBER:
                number = value.next(der.INTEGER)
        wrapper.done()
    if number is None or not 0 < len(number) <= 8 or number[0] & 0x80:
        raise CodecError("crl: expected a number of at most 8 bytes, got none")
    return int.from_bytes(number, "big")


def _signature(whole):
    """BIT STRING { SEQUENCE { r, s } } -> 64 bytes, and the end of the object."""
    raw = whole.next(der.BITS)
    whole.done()
    pair = der.Reader(raw, 1).enter(der.SEQUENCE)
    out = b""
    for _ in range(2):
        number = pair.next(der.INTEGER).lstrip(b"\0")
        if len(number) > 32:
            raise CodecError("x509: expected r and s of 32 bytes, got %d" % len(number))
        out += bytes(32 - len(number)) + number
    pair.done()
    return out


def _extensions(reader):
    """-> (OID, Reader over its value) of each; duplicates refused (4.2)."""
    seen = []
    while reader.more():
        fields = reader.enter(der.SEQUENCE)
        oid = fields.next(der.OID)
        if fields.peek() == der.BOOLEAN:
            fields.next(der.BOOLEAN)
        value = fields.enter(der.OCTETS)
        fields.done()
        if oid in seen:
            raise CodecError("x509: expected an extension once, got it twice")
        if len(seen) >= limits.X509_EXTENSIONS:
            raise LimitError("x509: expected <= %d extensions" % limits.X509_EXTENSIONS)
        seen.append(oid)
        yield oid, value


def _bits(value):
    raw = value.next(der.BITS)
    if not 2 <= len(raw) <= 3:
        raise CodecError("x509: expected 1 or 2 bytes of key usage, got %d" % (len(raw) - 1))
    return int.from_bytes((raw + b"\0")[1:3], "big")


def _oids(value):
    oids = []
    reader = value.enter(der.SEQUENCE)
    while reader.more() and len(oids) < limits.X509_EXTENSIONS:
        oids.append(reader.next(der.OID))
    reader.done()
    return oids


def _common_name(name):
    """The only CN of a DN in DER, or None; CodecError for two."""
    found = None
    sets = der.Reader(name).enter(der.SEQUENCE)
    while sets.more():
        pairs = sets.enter(der.SET)
        while pairs.more():
            pair = pairs.enter(der.SEQUENCE)
            oid = pair.next(der.OID)
            text = pair.next(pair.peek() or 0)
            if oid == _COMMON_NAME:
                if found is not None:
                    raise CodecError("x509: expected one common name, got two")
                found = _text(text)
    return found


def _text(raw):
    try:
        return str(raw, "utf-8")
    except UnicodeError:
        raise CodecError("x509: expected UTF-8 in a name, got other bytes") from None


def _time(reader):
    """UTCTime or GeneralizedTime, both in Zulu (4.1.2.5) -> unix seconds."""
    tag = reader.peek()
    raw = reader.next(der.GENERALIZED_TIME if tag == der.GENERALIZED_TIME else der.UTC_TIME)
    size = 4 if tag == der.GENERALIZED_TIME else 2
    digits = raw[:-1]
    if len(raw) != size + 11 or raw[-1:] != b"Z" or not digits.isdigit():
        raise CodecError("x509: expected a time in UTC, got %r" % raw)
    year = int(digits[:size])
    if size == 2:
        year += 1900 if year >= 50 else 2000
    month, day, hour, minute, second = [int(digits[i : i + 2]) for i in range(size, size + 10, 2)]
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31):
        raise CodecError("x509: expected a date from 1970, got %r" % raw)
    if hour > 23 or minute > 59 or second > 59:
        raise CodecError("x509: expected a time of day, got %r" % raw)
    leap = not year % 4 and (year % 100 or not year % 400)
    past = year - 1
    days = 365 * (year - 1970) + past // 4 - past // 100 + past // 400 - 477
    days += _DAYS[month - 1] + (1 if leap and month > 2 else 0) + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second
