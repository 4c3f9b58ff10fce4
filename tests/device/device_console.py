"""The service console over a line of a list, its clock in the test's hand."""

import asyncio

from device_defences import at

SILENCE_MS = 1000


class _Line:
    """Steps: a request (list), bytes as hex, ms to pass (int). Answers are kept."""

    def __init__(self, agent, steps):
        self.agent = agent
        self.steps = steps
        self.said = []

    def get(self):
        from uward.codec import cbor

        if not self.steps:
            self.agent.time += SILENCE_MS
            return None
        step = self.steps.pop(0)
        if isinstance(step, int):
            self.agent.time += step
            return None
        if isinstance(step, str):
            return bytes.fromhex(step)
        return b"uward:" + cbor.encode([_plain(item) for item in step]).hex().encode()

    def put(self, line):
        from uward.codec import cbor

        self.said.append(_shown(cbor.decode(bytes.fromhex(str(line[6:], "ascii")))))


def _plain(item):
    if isinstance(item, str) and item.startswith("hex:"):
        return bytes.fromhex(item[4:])
    return item


def _shown(value):
    if isinstance(value, bytes):
        return "hex:" + value.hex()
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return value


class _Agent:
    def __init__(self):
        self.info = {"board": "unix", "trust": 1, "state": 2}
        self.time = 0
        self.console = None
        self.barred = None
        self.events = []

    def uptime(self):
        return self.time

    def event(self, name, reason=""):
        self.events.append([name, reason])


def run(root, steps, failures=None, ms=120_000):
    """Serve the steps. -> answers, events, ms of uptime at the end, wrong answers in flash.

    failures: the content of /id/con before, or "damaged".
    """
    at(root)
    from uward.codec import cbor
    from uward.errors import BadMac
    from uward.guard import console
    from uward.vault import keys, sealed

    if failures == "damaged":
        with open("/id/con", "wb") as f:
            f.write(bytes(60))
    elif failures is not None:
        sealed.write(keys.root(), console.PATH, cbor.encode({1: failures}))
    agent = _Agent()
    line = _Line(agent, steps)
    agent.console = console.Console(agent, None, line)
    asyncio.run(agent.console.run(ms, "test"))
    try:
        kept = cbor.decode(sealed.read(keys.root(), console.PATH))[1]
    except (OSError, BadMac):
        kept = None
    return [line.said, agent.events, agent.time, kept]


def waits(most):
    """-> ms that so many wrong answers in a row cost."""
    from uward.guard import console

    return [console.wait_ms(failures) for failures in range(most)]
