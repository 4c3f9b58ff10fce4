"""Commands that came down wait their turn (SPEC 11): bounded, one by one; heap may be short."""

import asyncio
import types

import pytest
from uward import lazy, limits
from uward.errors import CommandRefused, ProtocolError
from uward.guard import take
from uward.orders import Orders


class Agent(Orders):
    def __init__(self):
        Orders.__init__(self)
        self.said = []

    def event(self, name, reason=""):
        self.said.append(name)

    def refused(self, error):
        self.said.append(error.event)

    def starved(self, error):
        self.said.append("heap.low")


class Uplink:
    """Opens what the collector sealed; here it is given open."""

    def __init__(self):
        self.session = self

    def open(self, purpose, payload):
        return payload


@pytest.fixture
def run(monkeypatch):
    """run(messages, failures) -> (what was judged, what was said); the first judgements fail."""

    def go(messages, failures=()):
        left, judged = list(failures), []

        async def handed_down(agent, uplink, purpose, data):
            if left:
                raise left.pop(0)
            judged.append((purpose, data))

        module = types.SimpleNamespace(handed_down=handed_down)
        monkeypatch.setattr(lazy, "use", lambda name: module)
        monkeypatch.setattr(lazy, "spare", lambda: None)
        agent = Agent()

        async def main():
            for purpose, payload in messages:
                take.take(agent, Uplink(), purpose, payload)
            if agent.worker is not None:
                await agent.worker

        asyncio.run(main())
        return judged, agent.said

    return go


def test_each_is_judged_in_its_turn(run):
    messages = [("policy", b"p"), ("cmd", b"a"), ("cmd", b"b")]
    assert run(messages) == (messages, [])


def test_what_was_heard_before_or_is_no_bytes_is_not_judged(run):
    assert run([("cmd", None)]) == ([], [])
    with pytest.raises(ProtocolError, match="cmd: expected bytes"):
        run([("cmd", 5)])


def test_too_many_at_once_are_refused(run):
    with pytest.raises(CommandRefused, match="4 commands wait already"):
        run([("cmd", b"x")] * (limits.COMMANDS_WAITING + 1))


def test_a_refusal_or_a_failed_flash_ends_one_command_only(run):
    judged, said = run(
        [("cmd", b"a"), ("cmd", b"b"), ("cmd", b"c")], [ProtocolError("bad"), OSError(28)]
    )
    assert judged == [("cmd", b"c")] and said == ["proto.malformed", "flash.error"]


def test_a_short_heap_is_tried_again_once(run):
    assert run([("cmd", b"a")], [MemoryError()]) == ([("cmd", b"a")], ["heap.low"])
    messages = [("cmd", b"a"), ("cmd", b"b")]
    assert run(messages, [MemoryError()] * 2) == ([("cmd", b"b")], ["heap.low"] * 2)
