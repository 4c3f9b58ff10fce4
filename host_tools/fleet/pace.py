"""A token bucket: so much at once, so much a second."""


class Bucket:
    """`rate` tokens a second, at most `burst` saved up. Times in seconds, monotonic."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, now

    def wait(self, count: float, now: float) -> float:
        """Seconds until `count` tokens are there; 0.0 when they are."""
        grown = self._tokens + max(0.0, now - self._at) * self._rate
        self._tokens, self._at = min(self._burst, grown), now
        return max(0.0, (count - self._tokens) / self._rate)

    def take(self, count: float, now: float) -> bool:
        """Take `count` tokens if they are there."""
        if self.wait(count, now) > 0.0:
            return False
        self._tokens -= count
        return True
