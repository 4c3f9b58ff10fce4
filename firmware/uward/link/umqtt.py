"""umqtt.simple's own calls, for programs written for it: they wait, but with deadlines.

`ssl` is an object with `stream(server, port, sleep)` as `link.tls.Credentials` has it; there is
no connection without. Everything else is `link.mqtt.Client`.
"""

import time

from uward import port as board
from uward.errors import KeyRefused
from uward.limits import MQTT_POLL_MS, MQTT_REPLY_MS
from uward.link.mqtt import Client


async def _sleep(ms):
    time.sleep(ms / 1000)


def _run(coroutine):
    """Run a coroutine that sleeps only by `_sleep`, so that it ends at its first step."""
    try:
        coroutine.send(None)
    except StopIteration as e:
        return e.value


class MQTTClient(Client):
    """Blocking client with the method names and argument order of umqtt.simple."""

    retained = True

    def __init__(
        self, client_id, server, port=8883, user=None, password=None, keepalive=0, ssl=None
    ):
        if ssl is None:
            raise KeyRefused("expected TLS credentials, got none")
        Client.__init__(self, client_id, server, port, user, password, keepalive)
        self._credentials = ssl

    def connect(self, clean_session=True):
        """-> session present."""
        stream = _run(self._credentials.stream(self.server, self.port, _sleep))
        return _run(self.open(stream, clean_session))

    def publish(self, topic, msg, retain=False, qos=0):
        """Send; with QoS 1 return after the PUBACK."""
        pid = self._publish(topic, msg, retain, qos)
        _run(self._until(lambda: not self._queue, MQTT_REPLY_MS, "room for a PUBLISH"))
        _run(self._until(lambda: pid not in self.unacknowledged, MQTT_REPLY_MS, "PUBACK"))

    def subscribe(self, topic, qos=0):
        """-> granted QoS, after the SUBACK."""
        return _run(Client.subscribe(self, topic, qos))

    def check_msg(self):
        """Handle what has arrived; do not wait."""
        self.poll()

    def wait_msg(self, ms=MQTT_REPLY_MS):
        """Handle what arrives until one message was delivered or `ms` have passed."""
        before = self.delivered
        start = board.ticks_ms()
        while self.delivered == before and board.ticks_diff(board.ticks_ms(), start) < ms:
            self.poll()
            time.sleep(MQTT_POLL_MS / 1000)

    def _sleep(self, ms):
        return _sleep(ms)
