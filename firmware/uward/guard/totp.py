"""Time-based one-time codes (RFC 6238, HMAC-SHA-256): a factor where a key is safe (S16)."""

from uward import limits
from uward.crypto.hash import equal, hmac
from uward.errors import CommandRefused


def code(secret, step):
    """-> the digits of one time step (RFC 4226 5.3; RFC 6238 4.2)."""
    mac = hmac(secret, step.to_bytes(8, "big"))
    o = mac[-1] & 15
    number = int.from_bytes(mac[o : o + 4], "big") & 0x7FFFFFFF
    text = str(number % 10**limits.TOTP_DIGITS)
    return "0" * (limits.TOTP_DIGITS - len(text)) + text


def check(entry, given, now):
    """Take the step that `given` is of: this one, the one before or after it, each once.

    entry: [secret, last step used, failures in a row], changed in place; the caller writes it
    down before anything else happens. CommandRefused `cmd.denied`.
    """
    if entry[2] >= limits.TOTP_FAILURES:
        raise CommandRefused("cmd.denied", "codes are locked: %d were wrong" % entry[2])
    present = now // limits.TOTP_STEP_S
    for step in (present, present - 1, present + 1):
        if step > entry[1] and equal(code(entry[0], step).encode(), given.encode()):
            entry[1] = step
            entry[2] = 0
            return
    entry[2] += 1
    raise CommandRefused("cmd.denied", "expected the code of now, unused, got another")
