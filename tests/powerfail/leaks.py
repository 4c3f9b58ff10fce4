"""What a secret looks like where it should not be; for raw flash, on CPython and MicroPython."""


def encodings(secret):
    """A secret as it may lie somewhere: raw, hex, base64 (each phase), UTF-16, reversed."""
    from binascii import b2a_base64, hexlify

    out = [secret, hexlify(secret), hexlify(secret).upper()]
    out.append(bytes(secret[i] for i in range(len(secret) - 1, -1, -1)))
    for skip in range(3):
        text = b2a_base64(secret[skip : skip + (len(secret) - skip) // 3 * 3])
        out.append(text.rstrip(b"\n="))
    try:
        text = secret.decode()
        out.append(b"".join(bytes((ord(c), 0)) for c in text))
        out.append(b"".join(bytes((0, ord(c))) for c in text))
    except UnicodeError:
        pass  # a binary key has no such form
    return out


def leaked(data, secrets):
    """-> names of those secrets ({name: bytes}) that are in `data` in some encoding."""
    return sorted(
        name for name in secrets if any(data.find(text) >= 0 for text in encodings(secrets[name]))
    )
