"""What the emulated access point announces in a scan: WPA2, as a real one would, or less.

rp2040py's own shows an open network. The bytes are those of the Wi-Fi driver's scan result
(`cyw43_scan_result_internal_t` of cyw43-driver, which starts at offset 12) with the information
elements behind it.
"""

_RESULT = 12  # offset of the driver's structure
_LENGTH, _CAPABILITY, _IE_OFFSET, _IE_LENGTH = 4, 16, 116, 120  # offsets in it
_PRIVACY = 0x10  # capability bit (IEEE 802.11 9.4.1.4)
_RSN = bytes.fromhex("30140100000fac040100000fac040100000fac020000")  # CCMP, PSK (9.4.2.24)
_WPA = bytes.fromhex("dd160050f20101000050f20201000050f20201000050f202")  # TKIP, PSK

ELEMENTS = {"open": b"", "wep": b"", "wpa": _WPA, "wpa2": _RSN, "wpa2-mixed": _RSN + _WPA}


def scan_result(plain: bytes, security: str) -> bytes:
    """`plain`: the open network's scan result; returned with the elements of `security`."""
    elements = ELEMENTS[security]
    size = len(plain) - _RESULT
    result = bytearray(plain + elements)

    def put(offset: int, value: int, length: int) -> None:
        start = _RESULT + offset
        result[start : start + length] = value.to_bytes(length, "little")

    put(_LENGTH, size + len(elements), 4)
    put(_CAPABILITY, 0 if security == "open" else _PRIVACY, 2)
    put(_IE_OFFSET, size, 2)
    put(_IE_LENGTH, len(elements), 4)
    return bytes(result)
