"""Packs of several boots keep their dates; a flash that was put back begins a stream of its own
(S10, S12)."""

import pytest
from uward import limits
from uward.errors import VaultRestored
from uward.vault import journal, mount, segment
from uward.vault.queue import Queue

from tests.device.memory_files import MemoryFiles

KEY = bytes(range(32))


@pytest.fixture
def disk(monkeypatch):
    made = MemoryFiles()
    made.put_under(monkeypatch, journal, mount, segment)
    return made


def opened(create=False, **options):
    return Queue("/q", KEY, create=create, **options)


def send(queue, count=100):
    """-> [sequence, body, epoch, quality] of what is sent now."""
    out = []
    for _ in range(count):
        entry = queue.peek(queue.sent)
        if entry is None:
            return out
        out.append([entry.sequence, entry.body, entry.epoch, entry.quality])
        queue.seal(entry, b"sealed %d" % entry.sequence)
        queue.acknowledge(entry.sequence)
    return out


def boot(number, packs=1, create=False):
    queue = opened(create)
    queue.date(1000 * number, 0)
    for n in range(packs):
        queue.append("tele", n, b"%d.%d" % (number, n))
    return queue


def test_packs_of_each_boot_have_its_date(disk):
    boot(1, 3, create=True)
    boot(2, 2)
    queue = boot(3, 9)
    queue.date(3333, 2)  # the time is proved: for this boot alone
    got = send(queue)
    expected = [(1000, 0)] * 3 + [(2000, 0)] * 2 + [(3333, 2)] * 9
    assert [(epoch, quality) for _, _, epoch, quality in got] == expected
    assert [body for _, body, _, _ in got[:5]] == [b"1.0", b"1.1", b"1.2", b"2.0", b"2.1"]
    assert [sequence for sequence, _, _, _ in got] == list(range(1, 15))


def test_more_boots_than_are_dated_are_said_to_be_undated(disk):
    queue = boot(1, create=True)
    boots = limits.QUEUE_DATES + 5
    for number in range(2, boots + 1):
        queue = boot(number)
    queue.date(1000 * boots, 2)
    got = send(queue)
    assert len(got) == boots
    dates = [(epoch, quality) for _, _, epoch, quality in got]
    assert dates[:5] == [(6000, 0)] * 5  # of the first that is known, and no better than a floor
    assert dates[5:] == [(1000 * n, 0) for n in range(6, boots)] + [(1000 * boots, 2)]


def test_dates_go_when_their_packs_are_gone(disk):
    for number in range(1, 9):
        send(boot(number, 3, create=number == 1))
    queue = boot(9)
    assert len(queue._dates) <= 2
    assert [row[2:] for row in send(queue)] == [[9000, 0]]


def test_what_is_at_hand_and_what_is_in_flash_come_in_order(disk):
    queue = boot(1, 3, create=True)
    sent = send(queue, 2)
    for n in range(3 * limits.QUEUE_FRESH):
        queue.append("tele", n, b"later %d" % n)
        if n % 3 == 0:
            sent += send(queue, 1)
    sent += send(queue)
    assert [row[0] for row in sent] == list(range(1, 4 + 3 * limits.QUEUE_FRESH))
    later = [b"later %d" % n for n in range(3 * limits.QUEUE_FRESH)]
    assert [row[1] for row in sent] == [b"1.0", b"1.1", b"1.2", *later]
    assert queue.pending() == 0 and queue.peek(queue.sent) is None


def test_what_made_way_is_not_sent_from_ram(disk):
    told = []
    queue = opened(True, capacity=3 * limits.VAULT_SEGMENT, report=lambda *what: told.append(what))
    queue.date(1000, 0)
    assert queue.peek(0) is None
    for n in range(120):
        assert queue.append("tele", n, bytes((n,)) * 400)
    assert queue.dropped > 0 and told
    got = send(queue, 200)
    assert [row[1][0] for row in got] == list(range(queue.dropped, 120))
    assert [row[0] for row in got] == list(range(1, len(got) + 1))


def test_a_flash_that_was_put_back_begins_a_stream(disk):
    queue = boot(1, 3, create=True)
    send(queue)
    yesterday = dict(disk.files)
    send(boot(2, 4))
    later = opened()
    acknowledged = later.acknowledged
    disk.files = yesterday
    queue = boot(3, 2)
    before = queue.stream
    with pytest.raises(VaultRestored, match="expected <= 3, got 7") as refused:
        queue.acknowledge(acknowledged)
    assert refused.value.event == "store.rollback"
    queue.restart()
    assert queue.stream != before and queue.pending() == 2
    assert [row[:2] for row in send(queue)] == [[1, b"3.0"], [2, b"3.1"]]
    again = opened()
    assert (again.stream, again.acknowledged, again.pending()) == (queue.stream, 2, 0)
