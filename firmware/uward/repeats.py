"""Which events are told and which are only counted: whoever can cause one must not be able to fill
the outbox, which drops no event."""

from uward import lazy, limits


class Repeats:
    """Each event name has a window of limits.EVENT_REPEAT_MS from the event that opened it.

    In it the same reason again is counted, and so is any after limits.EVENT_REASONS of them. The
    next window is twice as long if something was counted, up to limits.EVENT_REPEAT_MOST_MS.
    """

    def __init__(self):
        self._windows = {}

    def gather(self):
        """Put the table and what it holds to the lowest holes of the heap (S20)."""
        self._windows = dict(self._windows)
        for window in self._windows.values():
            window.reason = lazy.again(window.reason)

    def judge(self, name, reason, now):
        """-> what to tell, None for an event that is only counted. now: ms of uptime."""
        window = self._windows.get(name)
        if window is not None and now < window.until:
            if reason == window.reason or window.told >= limits.EVENT_REASONS:
                window.counted += 1
                window.reason = reason
                return None
            window.told += 1
            window.reason = reason
            return reason
        ms = limits.EVENT_REPEAT_MS
        said = reason
        if window is None:
            if len(self._windows) >= limits.EVENT_NAMES:
                self._windows.clear()
        elif window.counted:
            ms = min(2 * window.ms, limits.EVENT_REPEAT_MOST_MS)
            said = "%s (and %d times: %s)" % (reason, window.counted, window.reason)
        self._windows[name] = Window(reason, now, ms)
        return said


class Window:
    """reason: the last one; told: how many were; counted: how many were not; ms: its length."""

    def __init__(self, reason, now, ms):
        self.reason = reason
        self.until = now + ms
        self.ms = ms
        self.told = 1
        self.counted = 0
