"""Key sources (SPEC 6, S9; ADR 0054): where the root secret of the board tier comes from.

`/id/root` holds the root secret itself (source `flash`, 32 bytes), or what a chip makes it from:
`u8 1 | u8 source | 5 bytes: where the chip is | salt32`. root = HKDF(the chip's answer to the
salt, salt, "uward root"). So a dump of the flash without the chip is not enough.

Stage 0 derives the root too: the boot record's key comes from it.
"""

from uward.compat import const
from uward.crypto.hash import hkdf
from uward.errors import KeyRefused

try:
    from uward.vault.source_element import answer as element
    from uward.vault.source_element import check
except ImportError:  # a board whose TOML does not name it
    element = check = None
try:
    from uward.vault.source_efuse import answer as efuse
except ImportError:
    efuse = None

_ELEMENT = const(1)
_EFUSE = const(2)
_VERSION = const(1)
_PLACE = const(6)  # the source and where it is
_SALT = const(32)
_SIZE = const(39)  # bytes of /id/root with a chip; 32 is the root itself


def derive(data):
    """The content of /id/root -> root secret, 32 bytes. KeyRefused: format, chip, its answer."""
    if len(data) != _SIZE or data[0] != _VERSION:
        raise KeyRefused("root: expected 32 bytes or source format 1, got %d bytes" % len(data))
    salt = data[7:]
    return hkdf(_answer(data[1], data[2:7], salt), salt, b"uward root")


def make(place, salt):
    """A new /id/root at enrolment. place: `u8 source | 5 bytes`; salt: 32 random bytes.

    KeyRefused unless the chip keeps its key to itself, answers alike twice, and otherwise to
    another salt.
    """
    if len(place) != _PLACE or len(salt) != _SALT:
        raise KeyRefused("source: expected 6 bytes of place, got %d" % len(place))
    if place[0] == _ELEMENT and check is not None:
        check(place[1:])
    one = _answer(place[0], place[1:], salt)
    other = _answer(place[0], place[1:], bytes([b ^ 0xFF for b in salt]))
    if other == one or _answer(place[0], place[1:], salt) != one:
        raise KeyRefused("source: expected one answer a salt, got another")
    return bytes((_VERSION,)) + place + salt


def _answer(source, place, salt):
    if source == _ELEMENT and element is not None:
        return element(place, salt)
    if source == _EFUSE and efuse is not None:
        return efuse(place, salt)
    raise KeyRefused("source: expected one that this board has, got %d" % source)
