"""The link and the heap (S20, ADR 0022, 0052), and an outbox that is an older one (S12)."""

import asyncio

import pytest
from uward import limits
from uward.errors import TlsRefused, VaultRestored


class Station:
    async def stream(self):
        return object()


class Client:
    def __init__(self, error):
        self.error = error

    async def open(self, stream):
        raise self.error


@pytest.mark.parametrize("error", [TlsRefused("untrusted", "another CA"), MemoryError()])
def test_after_a_failed_handshake_garbage_is_collected_as_often_as_before(
    umqtt, monkeypatch, error
):
    """Else what comes next lies all over the heap, and the next handshake finds no block."""
    from uward.link import uplink

    sizes = []
    monkeypatch.setattr(uplink.port, "collect_each", sizes.append)
    link = object.__new__(uplink.Uplink)
    link.station, link._client = Station(), Client(error)
    with pytest.raises(type(error)):
        asyncio.run(link._open())
    assert sizes == [limits.GARBAGE_BULK, limits.GARBAGE]


class Agent:
    def __init__(self):
        self.outbox = self.chain = self
        self.done = []

    def end(self):
        self.done.append("chain ends")

    def restart(self):
        self.done.append("new stream")

    def uptime(self):
        return 7

    def credit(self):
        self.done.append("credit")


class Session:
    def __init__(self, answer):
        self.answer = answer
        self.restarts = 0
        self.outbox = None

    def acknowledge(self, payload):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def restart(self):
        self.restarts += 1


def link_with(answer):
    from uward.link import uplink

    link = object.__new__(uplink.Uplink)
    link._agent, link.session = Agent(), Session(answer)
    return link


def test_an_outbox_that_is_older_than_what_the_collector_has_begins_a_stream(umqtt):
    link = link_with(VaultRestored("ack: expected <= 4, got 9"))
    with pytest.raises(VaultRestored):
        link.acknowledge(b"")
    assert link._agent.done == ["new stream", "chain ends"] and link.session.restarts == 1


@pytest.mark.parametrize("answer, credit", [(3, ["credit"]), (None, [])])
def test_only_what_is_committed_anew_counts(umqtt, answer, credit):
    link = link_with(answer)
    link.acknowledge(b"")
    assert link._agent.done == credit and link.session.restarts == 0


def test_another_outbox_is_sent_from_its_first_pack(umqtt):
    link = link_with(None)
    link.attend("flash")
    assert link.session.outbox == "flash" and link.session.restarts == 1
    link.session = None
    link.attend("flash")  # before the link is up


@pytest.mark.parametrize("whole, renew", [(True, 99), (False, 0)])
def test_a_session_whose_heap_is_in_pieces_is_followed_by_another(
    umqtt, monkeypatch, whole, renew
):
    link = link_with(None)
    from uward.link import uplink

    asked = []
    monkeypatch.setattr(uplink.port, "block_ok", lambda size: asked.append(size) or whole)
    link._renew = 99
    link.refresh()
    assert [link._renew, asked] == [renew, [40_960]]


def test_the_uptime_is_dated_once_the_time_was_proved(umqtt):
    link = link_with(None)
    link._epoch = None
    assert link.dated() is None
    link._epoch = 1_800_000_000
    assert link.dated() == (1_800_000_000, 2)
