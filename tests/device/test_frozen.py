"""Freeze (T13): who keeps newer trust documents back is noticed once the one in force expires."""

import pytest

NOW = 1_800_000_000


class Clock:
    def __init__(self):
        self.floor = 0

    def prove(self, answer, device, keys, leaf, revoked):
        self.floor = NOW


class Station:
    device, revoked, trust, trial = "abcdefgh12345678", set(), 7, None

    def __init__(self, expires):
        self.expires = expires
        self.clock = Clock()

    def time_keys(self):
        return []

    def keep_clock(self):
        pass

    def renewal_due(self):
        return False

    def spare(self):
        pass


class Agent:
    def __init__(self):
        self.events = []

    def uptime(self):
        return 0

    def event(self, name, reason=""):
        self.events.append((name, reason))

    def dated(self, epoch, quality):
        self.date = epoch, quality


class Session:
    gathered = False

    def gather(self):
        self.gathered = True


@pytest.mark.parametrize(("expires", "frozen"), [(NOW - 1, True), (NOW, False), (NOW + 9, False)])
def test_an_expired_trust_document_is_told_at_each_proved_time(umqtt, expires, frozen):
    from uward.link import uplink

    made = object.__new__(uplink.Uplink)
    made._agent = Agent()
    made.station = Station(expires)
    made.leaf, made._epoch = object(), None
    made.session = Session()
    made.synchronise(b"answer")
    assert made.state == uplink.ONLINE  # sensing and readings go on
    assert made.session.gathered  # what lay above the code for this message (S20)
    told = [("upd.frozen", "trust document 7 has expired")]
    assert made._agent.events == (told if frozen else [])
