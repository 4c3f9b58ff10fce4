"""The way to the service console of a locked board (S17): a strap, tied to ground.

It opens the challenge of `guard.console` and nothing else. Stays loaded, so it is small. Where
the line is there always (UART, a process's terminal), what is typed at it is noticed.
"""

import select
import sys

from uward import lazy, limits, port
from uward.compat import const

_LOOKS = const(2)  # in a row, 500 ms apart: no glitch, and once for each closing


class Strap:
    """strapped: -> whether the strap is closed, or None without one; source: the line."""

    def __init__(self, agent, uplink, strapped, source):
        self._agent = agent
        self._uplink = uplink
        self._strapped = strapped
        self._source = source
        self._closed = 0  # looks in a row
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)

    def look(self):
        """The supervisor's duty."""
        if self._agent.console is not None:
            return
        if self._poll is not None and self._typed():
            self._agent.event("con.break", "bytes typed at the closed console")
        if self._strapped is None or not self._strapped():
            self._closed = 0
            return
        self._closed += 1
        if self._closed == _LOOKS:
            console = lazy.use("guard.console")
            console.start(self._agent, self._uplink, limits.CONSOLE_IDLE_MS, "strap")
            lazy.spare()

    def _typed(self):
        """Take what lies on the line. -> whether there was anything."""
        for count in range(limits.CONSOLE_READ):
            if not self._poll.poll(0):
                return count > 0
            if not self._source.read(1):
                self._poll = None  # the other end is gone
                return count > 0
        return True


def watch(agent, uplink):
    """Look for the strap from now on."""
    pin = agent.info.get("strap", -1)
    strapped = port.strap(pin) if pin >= 0 else None
    agent.duties.append(Strap(agent, uplink, strapped, sys.stdin.buffer).look)
