"""What the device's own commands do, and the way into the maker's (SPEC 11)."""

from uward import lazy, limits
from uward.compat import const
from uward.crypto.rng import random
from uward.errors import CommandRefused

_TOTP_SECRET = const(32)  # bytes: the length of the MAC (RFC 4226 4, R6)


def before(command, book):
    """What must hold already when the power goes while the command runs."""
    if command["name"] == "quarantine":
        book.quarantined = True


def run(agent, uplink, command, book):
    """-> (text for the result, secret for it or None).

    command: the map that `command` makes of a verdict; book: changed, the caller writes it.
    """
    name = command["name"]
    if name in agent.orders:
        function = agent.orders[name][0]
        return _text(function(**command["arguments"])), None
    if name == "totp":
        return _totp(command, book)
    return _RUN[name](agent, uplink, command, book) or "", None


def _reboot(agent, uplink, command, book):
    agent.reset_soon()


def _set(agent, uplink, command, book):
    chosen = dict(book.chosen)
    chosen.update(command["arguments"])
    if len(chosen) > limits.SETTINGS:
        raise CommandRefused("cmd.denied", "expected <= %d settings" % limits.SETTINGS)
    book.chosen = agent.chosen = chosen


def _update(agent, uplink, command, book):
    if uplink is None:
        raise CommandRefused("cmd.denied", "update-now needs the collector")
    uplink.greet()


def _quarantine(agent, uplink, command, book):
    agent.quarantined = True
    agent.emergency = 0
    agent.make_safe()


def _release(agent, uplink, command, book):
    agent.quarantined = book.quarantined = False


def _unlock(agent, uplink, command, book):
    _module("guard.console").unlock(agent, uplink, command["arguments"]["seconds"])


def _rotate(agent, uplink, command, book):
    _module("vault.rotate").start(agent)


def _retire(agent, uplink, command, book):
    _module("vault.erase").intend(agent)


def _breakglass(agent, uplink, command, book):
    minutes = command["arguments"]["minutes"]
    agent.begin_emergency(int(minutes * 60_000))
    agent.event("cmd.breakglass", "by %s for %s min" % (command["author"][:8].hex(), minutes))


def _totp(command, book):
    """A new secret for the author's codes: it goes to him in the result, sealed."""
    secret = random(_TOTP_SECRET)
    book.totp[command["author"]] = [secret, 0, 0]
    return "a new secret for codes", secret


def _module(name):
    try:
        return lazy.use(name)
    except ImportError:
        raise CommandRefused("cmd.denied", "this image has no %s" % name) from None


def _text(value):
    return "" if value is None else str(value)


_RUN = {
    "reboot": _reboot,
    "set": _set,
    "update-now": _update,
    "quarantine": _quarantine,
    "release": _release,
    "unlock-console": _unlock,
    "rotate-keys": _rotate,
    "retire": _retire,
    "breakglass": _breakglass,
}
