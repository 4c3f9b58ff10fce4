"""What an EST service answers (RFC 7030, RFC 9112): bytes in, values or a refusal out. Pure."""

from binascii import a2b_base64

from uward import limits
from uward.codec import der
from uward.errors import KeyRefused, ProtocolError
from uward.trust import x509


def parse(data):
    """Bytes with the head of an HTTP answer -> (status, Content-Length, where the body begins)."""
    end = data.index(b"\r\n\r\n")
    lines = data[:end].split(b"\r\n")
    words = lines[0].split(b" ")
    if not lines[0].startswith(b"HTTP/1.1 ") or len(words[1]) != 3 or not words[1].isdigit():
        raise ProtocolError("est: expected an answer in HTTP/1.1, got another")
    size = None
    for line in lines[1:]:
        colon = line.find(b":")
        if line[:colon].lower() == b"content-length":
            text = line[colon + 1 :].strip()
            if size is not None or not text.isdigit() or len(text) > 5:
                raise ProtocolError("est: expected one length, got another")
            size = int(text)
    if size is None or size > limits.DER_BYTES:
        raise ProtocolError("est: expected a body of at most %d bytes" % limits.DER_BYTES)
    return int(words[1]), size, end + 4


def find(body, own):
    """Our certificate in a certs-only PKCS#7 (RFC 5652 5.1) in base64. -> DER."""
    try:
        data = a2b_base64(body)
    except ValueError:
        raise ProtocolError("est: expected base64, got another") from None
    content = der.open(data).enter(der.SEQUENCE)
    content.next(der.OID)
    signed = content.enter(0xA0).enter(der.SEQUENCE)
    signed.next(der.INTEGER)
    signed.next(der.SET)
    signed.next(der.SEQUENCE)
    certificates = signed.enter(0xA0)
    public = x509.parse_certificate(own[4]).public_key
    while certificates.more():
        found = certificates.whole(der.SEQUENCE)
        if x509.parse_certificate(found).public_key == public:
            return found
    raise KeyRefused("est: expected a certificate of our key, got none")
