"""The supervisor: sensors that fail, events that repeat, resets on purpose, health."""

import asyncio

import pytest
from uward import limits
from uward.agent import Agent
from uward.boot import handover
from uward.codec import cbor
from uward.errors import CodecError
from uward.repeats import Repeats
from uward.vault import away, chain
from uward.vault.queue import pack_of

DENSE = 0xFE  # first byte of a dense pack (SPEC 8)


class Uplink:
    online = False
    outbox = None

    def dated(self):
        return 1_800_000_000, 2

    def attend(self, outbox):
        self.outbox = outbox

    def refresh(self):
        self.refreshed = True

    async def run(self):
        await asyncio.sleep(3600)


@pytest.fixture
def flash(monkeypatch, tmp_path):
    """A folder in which `away` finds a board's flash."""
    real = away.Away
    (tmp_path / "id").mkdir()
    (tmp_path / "id/root").write_bytes(bytes(32))
    monkeypatch.setattr(away, "Away", lambda report, built: real(report, built, str(tmp_path)))
    monkeypatch.setattr("uward.telemetry._MARKER", str(tmp_path / "vault/away"))
    return tmp_path


@pytest.fixture
def agent(monkeypatch, flash):
    info = {"trial": False, "reason": "", "state": handover.DEVELOPMENT, "version": "1.0.0"}
    monkeypatch.setattr(handover, "info", info)
    made = Agent(Uplink())
    made.time = 0
    made.uptime = lambda: made.time
    return made


def events(agent):
    return [entry.body for entry in agent.outbox.entries if entry.purpose == "event"]


def test_a_sensor_that_raises_is_an_event_and_is_read_again(agent):
    answers = [1.5, ValueError("unplugged"), 2.5]

    @agent.sensor("probe", unit="Cel", every_s=1)
    def probe():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    for _ in range(3):
        agent._read(agent._sensors[0])
    told = b"".join(events(agent))
    assert b"sensor.error" in told and b"unplugged" in told and b"sensor.ok" in told
    assert agent.self_test() is None


def test_self_test_names_the_sensor_and_the_check_that_fail(agent):
    agent.sensor("silent", every_s=1)(lambda: None)
    assert agent.self_test() == "sensor silent"
    agent._read(agent._sensors[0])
    agent.health("finger")(lambda: False)
    assert agent.self_test() == "check finger"


@pytest.mark.parametrize(
    "name, every_s, says",
    [("", 1, "expected 1.."), ("x" * 200, 1, "expected 1.."), ("x", 0, "expected a period")],
)
def test_a_sensor_that_cannot_be_is_refused(agent, name, every_s, says):
    with pytest.raises(CodecError, match=says):
        agent.sensor(name, every_s=every_s)


def test_the_same_event_is_counted_not_repeated(agent):
    for _ in range(5):
        agent.event("link.down", "no broker")
    assert len(events(agent)) == 1
    agent.time = limits.EVENT_REPEAT_MS + 1
    agent.event("link.down", "no broker")
    assert len(events(agent)) == 2 and b"and 4 times" in events(agent)[1]


def test_an_event_is_proved_as_it_is_told(agent):
    """A long reason is cut before it is proved: what comes is what was sealed."""
    agent.event("link.down", "before the log has begun")
    agent.chain.begin(bytes(64), bytes(32))
    agent.time = 1234
    agent.event("sensor.error", "x" * 500)
    agent.event("sensor.error", "x" * 500)  # counted, not told: no entry
    before, told = [cbor.decode(body) for body in events(agent)]
    assert before == ["link.down", "before the log has begun"]
    name, reason, (log, number, when, tag) = told
    assert (name, reason) == ("sensor.error", "x" * limits.REASON_CHARS)
    assert (log, number, when, agent.chain.count) == (bytes(8), 2, 1234, 2)
    head = chain.joined(bytes(32), chain.START, bytes(64))
    assert tag == chain.mac(bytes(32), head, cbor.encode([name, reason, when]))


def test_what_goes_on_for_days_is_told_ever_more_rarely(agent):
    for minute in range(3 * 24 * 60):
        agent.time = minute * 60_000
        agent.event("link.down", "no broker")
    assert len(events(agent)) == 5 + 17  # after 10, 20, .. 160 min, then each 4 h
    agent.time += 2 * limits.EVENT_REPEAT_MOST_MS  # it had ended for so long
    agent.event("link.down", "no broker")
    agent.time += limits.EVENT_REPEAT_MOST_MS
    agent.event("link.down", "no broker")
    agent.time += limits.EVENT_REPEAT_MS + 1
    agent.event("link.down", "no broker")
    assert len(events(agent)) == 5 + 17 + 3


def test_one_name_cannot_fill_the_outbox_with_ever_new_reasons(agent):
    """Whoever sits at the broker chooses the text of some of them."""
    for n in range(1000):
        agent.event("proto.error", "got %d" % n)
    assert len(events(agent)) == limits.EVENT_REASONS
    agent.event("sensor.error", "unplugged")
    agent.time = limits.EVENT_REPEAT_MS + 1
    agent.event("proto.error", "got another")
    assert len(events(agent)) == limits.EVENT_REASONS + 2
    assert b"got another (and 992 times: got 999)" in events(agent)[-1]


def test_reasons_that_come_by_turns_are_told_ever_more_rarely_too():
    repeats, told = Repeats(), []
    for minute in range(24 * 60):
        for reason in ("this", "that"):
            told.append(repeats.judge("proto.error", reason, minute * 60_000))
    windows = 5 + 5  # of 10, 20, .. 160 min, then of 4 h; the last has begun
    assert len(told) - told.count(None) == windows * limits.EVENT_REASONS


def test_more_names_than_are_remembered_forget_the_others_once(agent):
    names = ["n%d" % n for n in range(limits.EVENT_NAMES)]
    for name in names * 3:
        agent.event(name)
    assert len(events(agent)) == len(names)
    agent.time = limits.EVENT_REPEAT_MS
    for name in names * 3:
        agent.event(name)
    assert len(events(agent)) == 2 * len(names)


class Reset(Exception):
    pass


@pytest.fixture
def resets(monkeypatch):
    def reset():
        raise Reset

    monkeypatch.setattr("uward.port.reset", reset)
    monkeypatch.setattr(handover, "healthy", lambda: None)


def test_a_reset_for_an_offer_waits_for_its_uptime(agent, resets):
    agent.reset_soon()
    agent.time = limits.OFFER_MS
    agent._reset_when_told()
    agent.time += 1
    with pytest.raises(Reset):
        agent._reset_when_told()


def test_a_trust_document_alone_waits_longer_and_goes_with_a_release(agent, resets):
    agent.reset_soon(limits.TRUST_MS)
    agent.time = limits.TRUST_MS
    agent._reset_when_told()
    assert not agent.reset_within(limits.OFFER_MS)
    agent.reset_soon()
    assert agent.reset_within(limits.OFFER_MS)
    with pytest.raises(Reset):
        agent._reset_when_told()


def test_a_reset_waits_until_the_collector_was_told_but_not_for_ever(agent, resets):
    agent.time = limits.OFFER_MS + 1
    agent.event("upd.installed", "2.0.0")
    agent.reset_soon()
    agent._reset_when_told()
    agent.time += limits.RESET_MS
    with pytest.raises(Reset):
        agent._reset_when_told()


def test_a_heap_in_pieces_is_mended_by_a_reset(agent, resets):
    for _ in range(limits.STARVED - 1):
        agent.starved(MemoryError())
    assert b"heap.low" in events(agent)[0]
    with pytest.raises(Reset):
        agent.starved(MemoryError())


def test_a_loop_that_stops_shows(agent):
    agent.beat("link", 1000)
    assert agent.alive()
    agent.time = 1000
    assert not agent.alive()


# Away


def wait(agent, ms):
    agent.time += ms
    agent._close_packs()
    agent._tend()


def committed(agent):
    """All that is sent is committed."""
    box, sent = agent.outbox, 0
    while entry := box.peek(box.acknowledged):
        if entry.sealed is None:
            box.seal(entry, b"sealed")
        box.acknowledge(entry.sequence)
        agent.credit()
        sent += 1
    return sent


@pytest.fixture
def probe(agent):
    agent.sensor("probe", every_s=10)(lambda: 60)
    return agent._sensors[0]


def test_what_waits_for_long_goes_to_flash_and_comes_back_when_committed(agent, flash, probe):
    for _ in range(3):
        agent._read(probe)
        wait(agent, limits.PACK_MS)
    in_ram = agent.outbox
    assert agent.away is None and agent.uncommitted() == 3
    agent._read(probe)
    wait(agent, limits.AWAY_MS)
    assert agent.away and agent._uplink.outbox is agent.outbox is not in_ram
    assert (flash / "vault/away").exists()
    assert agent.uncommitted() == 4
    agent._read(probe)
    wait(agent, 10_000)
    agent._read(probe)  # in one dense pack with the one before
    wait(agent, 10_000)
    assert agent.uncommitted() == 5
    agent._uplink.online = True
    wait(agent, 500)
    agent._read(probe)  # somebody listens: no dense pack any more
    wait(agent, limits.PACK_MS)
    assert committed(agent) == 6
    wait(agent, 500)
    assert agent.away is None and agent._uplink.outbox is agent.outbox
    assert agent._uplink.refreshed
    assert agent.outbox.sent == agent.outbox.acknowledged == 6
    assert not (flash / "vault/away").exists()


def test_what_is_committed_in_time_never_goes_to_flash(agent, flash, probe):
    agent._uplink.online = True
    for _ in range(20):
        agent._read(probe)
        wait(agent, limits.AWAY_MS // 2)
        committed(agent)
    assert agent.away is None and not (flash / "vault").exists()


def test_events_go_to_flash_too_and_wait_for_the_supervisor(agent, flash):
    agent.event("link.down", "no broker")
    wait(agent, 0)
    wait(agent, limits.AWAY_MS + 1)
    before = agent.outbox.pending()
    agent.event("sensor.error", "probe")
    assert [agent.outbox.pending(), agent.uncommitted()] == [before, before + 1]
    wait(agent, 500)
    assert agent.outbox.pending() == before + 1


def test_a_boot_that_finds_something_in_flash_goes_on_with_it(agent, probe):
    agent._read(probe)
    wait(agent, limits.PACK_MS)
    wait(agent, limits.AWAY_MS + 1)
    agent._read(probe)
    wait(agent, 10_000)  # its copy is written
    again = Agent(Uplink())
    again.time = 0
    again.uptime = lambda: again.time
    wait(again, 0)
    assert again.away and again.uncommitted() == 2 and again.outbox.stream == agent.outbox.stream


def test_what_cannot_lie_in_flash_stays_in_ram_and_is_tried_again(agent, flash, probe):
    (flash / "id/root").write_bytes(b"")
    agent._read(probe)
    wait(agent, limits.PACK_MS)
    wait(agent, limits.AWAY_MS + 1)
    assert agent.away is None and agent.uncommitted() == 2
    assert b"root: expected 32 bytes, got 0" in events(agent)[0]
    (flash / "id/root").write_bytes(bytes(32))
    wait(agent, limits.AWAY_MS)
    assert agent.away is None  # not before a while has passed
    wait(agent, 1)
    assert agent.away and agent.uncommitted() == 2


def test_packs_that_ram_dropped_are_told_of_once_flash_took_over(agent, flash, probe):
    while not agent.outbox.dropped:
        agent.keep("tele", agent.time, bytes(500))
    dropped = agent.outbox.dropped
    wait(agent, 0)
    wait(agent, limits.AWAY_MS + 1)
    assert agent.away
    agent._tell_drops()
    agent._tell_drops()
    wait(agent, 500)
    (told,) = [note for note in stored(agent) if b"outbox.overflow" in note]
    assert b"%d packs dropped" % dropped in told


def stored(agent):
    """Bodies of the events in flash."""
    return [
        fields[3]
        for _, kind, payload in agent.outbox._journal.records()
        if (fields := pack_of(kind, payload)) and fields[0] == "event"
    ]


def test_packs_that_flash_dropped_are_told_of_at_once(agent, flash, probe):
    agent._read(probe)
    wait(agent, limits.PACK_MS)
    wait(agent, limits.AWAY_MS + 1)
    while not agent.outbox.dropped:
        for _ in range(20):
            agent.keep("tele", agent.time, bytes(500))
        wait(agent, 500)
    wait(agent, 500)
    (told,) = [note for note in stored(agent) if b"outbox.overflow" in note]
    assert b"%d packs dropped: the oldest made way" % agent.outbox.dropped in told
    agent._tell_drops()
    wait(agent, 500)
    assert len([note for note in stored(agent) if b"outbox.overflow" in note]) == 1


def test_what_stands_in_the_room_of_a_session_is_laid_down_and_taken_up_again(
    agent, flash, probe, monkeypatch
):
    """Else no session comes about where a broker took connections and said nothing (S20)."""
    agent._read(probe)
    wait(agent, limits.PACK_MS)
    wait(agent, limits.AWAY_MS + 1)
    agent._read(probe)
    first, stream = agent.away, agent.outbox.stream
    agent.gather()  # there is room
    assert agent.away is first
    monkeypatch.setattr("uward.port.block_ok", lambda size: size < limits.TLS_SESSION)
    agent.gather()
    assert agent.away is None and agent._uplink.outbox is agent.outbox
    wait(agent, 500)
    assert agent.away and agent.away is not first
    assert agent.outbox.stream == stream and agent.uncommitted() == 2
    assert committed(agent) == 2


def test_what_waits_is_put_elsewhere_when_a_connection_has_ended(agent, flash, probe):
    """It lay amid the room that the next one needs (S20)."""
    agent._read(probe)
    reason = "no address for %s" % "broker"
    agent.event("link.down", reason)
    window, body = agent._repeats._windows["link.down"], probe.series._body
    agent.gather()
    assert window.reason == reason and window.reason is not reason
    assert probe.series._body == body and probe.series._body is not body


def test_readings_that_wait_for_their_pack_go_before_those_of_a_dense_one(
    agent, flash, probe, monkeypatch
):
    agent.event("link.down")
    wait(agent, 0)
    wait(agent, limits.AWAY_MS - 1000)
    agent._read(probe)
    wait(agent, 1001)
    agent._read(probe)
    assert agent.away and agent.away._packs
    monkeypatch.setattr("uward.port.block_ok", lambda size: False)
    agent.gather()  # lays all of it down, the dense pack too
    wait(agent, 500)
    bodies = [entry.body for entry in agent.outbox.batch(8) if entry.purpose == "tele"]
    assert [body[0] == DENSE for body in bodies] == [False, True]


def test_what_is_not_written_is_not_laid_down(agent, flash, probe, monkeypatch):
    agent._read(probe)
    wait(agent, limits.PACK_MS)
    wait(agent, limits.AWAY_MS + 1)
    agent._read(probe)
    first = agent.away
    monkeypatch.setattr("uward.port.block_ok", lambda size: False)

    def full(*_):
        raise OSError(28)

    monkeypatch.setattr(first, "work", full)
    agent.gather()
    assert agent.away is first and agent.uncommitted() == 2


def test_a_pack_that_cannot_be_closed_on_a_short_heap_stays_open(agent, flash, probe, monkeypatch):
    agent.event("link.down")
    wait(agent, 0)
    wait(agent, limits.AWAY_MS + 1)
    agent._read(probe)

    def short(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(agent.away, "keep", short)
        agent._write_out()
    assert agent.uncommitted() == 2
    agent._write_out()
    assert committed(agent) == 2 and agent.uncommitted() == 0


def test_an_event_of_a_short_heap_is_in_flash_before_the_reset(agent, flash, probe, resets):
    agent._read(probe)
    wait(agent, limits.PACK_MS)
    wait(agent, limits.AWAY_MS + 1)
    agent.starving = limits.STARVED - 1
    with pytest.raises(Reset):
        agent.starved(MemoryError())
    assert any(b"heap.low" in note for note in stored(agent))


def test_recovery_keeps_nothing_in_flash(agent, flash):
    agent.info["slot"] = "r"
    agent.event("link.down", "no broker")
    wait(agent, 0)
    wait(agent, limits.AWAY_MS + 1)
    assert agent.away is None and not (flash / "vault").exists()


def test_a_reset_on_purpose_takes_what_waits_to_flash(agent, flash, probe, resets):
    agent.reset_soon(0)
    agent.time = 1
    agent._read(probe)
    agent._reset_when_told()
    assert agent.uncommitted() == 1  # the open pack, on its way
    agent.time += limits.RESET_MS
    with pytest.raises(Reset):
        agent._reset_when_told()
    assert agent.away and agent.uncommitted() == 1 and (flash / "vault/away").exists()


def test_nothing_is_read_any_more_once_a_reset_is_due(agent, probe, resets):
    agent.reset_soon(0)
    agent.time = 1
    agent.event("upd.installed", "2.0.0")
    agent._reset_when_told()
    beats = []

    async def pause(ms):
        raise Reset

    agent.beat = lambda *what: beats.append(what)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("uward.port.sleep_ms", pause)
        with pytest.raises(Reset):
            asyncio.run(agent._sense(probe))
    assert beats and not probe.worked
