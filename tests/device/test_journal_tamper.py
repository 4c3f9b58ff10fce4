"""Whatever is done to the files of a vault is seen, at its index, and loses nothing else."""

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from uward import limits
from uward.errors import BadMac, VaultTampered
from uward.vault import frames, journal, mount, segment
from uward.vault.store import Store

from host_tools.vault import journal as host
from tests.device.memory_files import MemoryFiles

KEY = bytes(range(32))
NAMES = 200


def quick_open(key, nonce, sealed, aad=b"", tag_len=16):
    """AES-CCM of a library: 20,000 mounts would take too long otherwise."""
    try:
        return AESCCM(key, tag_len).decrypt(nonce, bytes(sealed), aad)
    except InvalidTag:
        raise BadMac("aead") from None


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(frames.aead, "open", quick_open)
    monkeypatch.setattr(limits, "VAULT_SEGMENT", 2600)


class Board:
    """A store on files of its own; `look` mounts changed files and says what was reported."""

    def __init__(self, monkeypatch, key=KEY):
        self._monkeypatch = monkeypatch
        self._key = key
        self.reports = []
        self.disk = MemoryFiles()
        self.disk.put_under(monkeypatch, journal, mount, segment)
        self.store = Store("/v", key, create=True)
        self.model = {}

    def fill(self, first, count):
        for i in range(first, first + count):
            self.store.set(f"name-{i}", i)
            self.model[f"name-{i}"] = i

    def decoded(self):
        """What the host's own decoder makes of the files."""
        below = {name.removeprefix("/v/"): data for name, data in self.disk.files.items()}
        return host.read(below, host.Sealed(self._key, "store"))

    def look(self, files, read=True):
        """-> (reports of mount and verify, items), or (None, {}) when nothing is ours."""
        MemoryFiles(files).put_under(self._monkeypatch, journal, mount, segment)
        reports = []
        try:
            store = Store("/v", self._key, report=lambda *what: reports.append(what))
        except VaultTampered:
            return None, {}
        store.verify()
        seen = list(reports)
        return seen, dict(store.items()) if read else None


@pytest.fixture
def board(monkeypatch):
    made = Board(monkeypatch)
    monkeypatch.setattr(limits, "STORE_SEGMENTS", 99)
    made.fill(0, NAMES // 2)
    made.store = Store("/v", KEY)  # a second run inside a segment
    made.fill(NAMES // 2, NAMES // 2)
    return made


def flipped(files, path, at, bit=1):
    data = files[path]
    return {**files, path: data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :]}


def indexes(reports):
    return {index for _, index, _, _ in reports}


def lost(reports):
    return {index: max(n for _, i, n, _ in reports if i == index) for index in indexes(reports)}


def layout(board):
    """{segment: [(offset, end, index of the record there or None for a mark)]}"""
    spans = {}
    for record in board.decoded().records:
        end = record.offset + 20 + 1 + len(record.payload)
        spans.setdefault(record.segment, []).append((record.offset, end, record.index))
    return spans


def record_at(spans, number, offset):
    """-> (index of the record that holds this byte, or of the one after the mark; is a mark)."""
    for start, end, index in spans[number]:
        if offset < end:
            return index, offset < start
    raise AssertionError("no record there")


def test_the_host_reads_what_the_device_wrote(board):
    decoded = board.decoded()
    assert decoded.damages == []
    assert len(decoded.segments) >= 4
    assert [record.index for record in decoded.records] == list(range(len(decoded.records)))
    assert sum(record.kind == 2 for record in decoded.records) == NAMES
    assert sum(segment.marks for segment in decoded.segments) == len(decoded.segments) + 1


def test_every_flipped_byte_is_seen_at_its_index_and_loses_nothing_else(board):
    files, spans = dict(board.disk.files), layout(board)
    names = {}
    for record in board.decoded().records:
        if record.kind == 2:
            names[record.index] = f"name-{len(names)}"
    last = max(int(path.removeprefix("/v/")) for path in files if "/t/" not in path)
    tails_at = len(files[f"/v/{last}"])
    checked = 0
    for path in sorted(files):
        stale = path.startswith("/v/t/") and files[path] in files[f"/v/{last}"]
        for at in range(len(files[path])):
            read = at % 7 == 0  # what is left is read now and then: it takes most of the time
            reports, items = board.look(flipped(files, path, at, 1 << at % 8), read)
            checked += 1
            if stale:
                assert indexes(reports) <= {board.store._journal.index}
                assert reports and items in (None, board.model)
                continue
            if path.startswith("/v/t/"):
                number, offset = last, tails_at + at
            else:
                number, offset = int(path.removeprefix("/v/")), at
            index, mark = record_at(spans, number, offset)
            assert indexes(reports) == {index}, (path, at)
            gone = set() if mark or index not in names else {names[index]}
            left = {n: v for n, v in board.model.items() if n not in gone}
            assert items in (None, left), (path, at)
            expected = 0 if mark or is_end(spans, last, index) else 1
            assert lost(reports) == {index: expected}, (path, at)
        tails_at += len(files[path]) if path.startswith("/v/t/") and not stale else 0
    assert checked > 9000


def is_end(spans, last, index):
    """The newest record: what follows it is unknown, and so is how much is lost."""
    return index == spans[last][-1][2]


def test_a_missing_segment_is_named_with_its_index(board):
    files, spans = dict(board.disk.files), layout(board)
    last = max(spans)
    for number in range(1, last):
        without = {path: data for path, data in files.items() if path != f"/v/{number}"}
        reports, items = board.look(without)
        first = spans[number][0][2]
        assert indexes(reports) == {first}
        assert lost(reports)[first] == len(spans[number])
        assert len(items) == NAMES - sum(board_names(board, spans, number))
        assert any(f"segment {number} is missing" in reason for _, _, _, reason in reports)


def board_names(board, spans, number):
    stored = {record.index for record in board.decoded().records if record.kind == 2}
    return [index in stored for _, _, index in spans[number]]


def test_the_newest_segment_gone_leaves_its_tails_behind(board):
    files, spans = dict(board.disk.files), layout(board)
    last = max(spans)
    assert any("/t/" in path for path in files)
    reports, _ = board.look({p: d for p, d in files.items() if p != f"/v/{last}"})
    assert indexes(reports) == {spans[last][0][2]}


def test_swapped_and_replayed_segments_are_seen(board):
    files, spans = dict(board.disk.files), layout(board)
    reports, _ = board.look({**files, "/v/2": files["/v/3"], "/v/3": files["/v/2"]})
    assert indexes(reports) == {spans[2][0][2]}
    reports, _ = board.look({**files, "/v/3": files["/v/2"]})
    assert indexes(reports) == {spans[3][0][2]}
    reports, items = board.look({**files, "/v/99": files["/v/2"]})
    assert [event for event, _, _, _ in reports] == ["store.tamper"]
    assert "none of ours" in reports[0][3] and items == board.model


def test_cut_spliced_and_repeated_records_are_seen(board):
    files, spans = dict(board.disk.files), layout(board)
    data = files["/v/2"]
    for place in (3, 10, 20):
        start, end, index = spans[2][place]
        after = spans[2][place + 1]
        reports, items = board.look({**files, "/v/2": data[:start] + data[end:]})
        assert lost(reports) == {index: 1} and len(items) == NAMES - 1
        double = data[:end] + data[start:end] + data[end:]
        reports, items = board.look({**files, "/v/2": double})
        assert lost(reports) == {after[2]: 0} and items == board.model
        swapped = data[:start] + data[after[0] : after[1]] + data[start:end] + data[after[1] :]
        reports, items = board.look({**files, "/v/2": swapped})
        assert lost(reports) == {index: 1, after[2] + 1: 0}
        assert len(items) == NAMES - 1
        other = files["/v/3"][spans[3][2][0] : spans[3][2][1]]
        reports, items = board.look({**files, "/v/2": data[:start] + other + data[start:]})
        assert lost(reports) == {index: 0} and items == board.model


def test_truncation_inside_the_log_is_seen(board):
    files, spans = dict(board.disk.files), layout(board)
    data = files["/v/2"]
    for place in (5, 11):
        start, _, index = spans[2][place]
        for end in (start, start + 1, start + 30):
            reports, _ = board.look({**files, "/v/2": data[:end]})
            assert indexes(reports) == {index}
            assert lost(reports)[index] == spans[3][0][2] - index


def test_a_torn_end_is_cut_off_and_the_log_goes_on(board, monkeypatch):
    files = {path: data for path, data in board.disk.files.items() if "/t/" not in path}
    last = max(int(path.removeprefix("/v/")) for path in files)
    whole = board.look(files)[1]
    data = files[f"/v/{last}"]
    disk = MemoryFiles({**files, f"/v/{last}": data + data[-40:-3]})
    disk.put_under(monkeypatch, journal, mount, segment)
    reports = []
    store = Store("/v", KEY, report=lambda *what: reports.append(what))
    assert len(reports) == 1 and "say nothing" in reports[0][3]
    store.set("after", 1)
    reports.clear()
    store = Store("/v", KEY, report=lambda *what: reports.append(what))
    assert reports == []  # the new segment is clean
    assert dict(store.items()) == {**whole, "after": 1}
    assert store.verify() is False and len(reports) == 1


def test_a_dropped_segment_that_is_back_is_removed(monkeypatch):
    board = Board(monkeypatch)
    monkeypatch.setattr(limits, "STORE_SEGMENTS", 2)
    board.fill(0, 40)
    old = dict(board.disk.files)
    for _ in range(12):
        board.fill(0, 40)
    first = board.store._journal.first
    assert first > 3
    reports, items = board.look({**board.disk.files, "/v/1": old["/v/1"]})
    assert [reason for _, _, _, reason in reports] == ["segment 1 is back"]
    assert items == board.model


def test_another_board_cannot_read_it(board, monkeypatch):
    files = dict(board.disk.files)
    other = Board(monkeypatch, bytes(32))
    assert other.look(files) == (None, {})
    mixed = {**other.disk.files, "/v/2": files["/v/2"]}
    reports, items = other.look(mixed)
    assert len(reports) == 1 and "none of ours" in reports[0][3]
    assert items == {}


def test_yesterdays_vault_is_only_seen_by_the_index(board):
    """Truncation at a record boundary and a whole restore look like a cut: the witness sees it."""
    files = dict(board.disk.files)
    before = board.store._journal.index
    board.fill(0, 10)
    reports, _ = board.look(files)
    assert reports == []
    assert Store("/v", KEY)._journal.index == before < board.store._journal.index


def test_a_record_that_is_gone_is_refused_not_replaced(board, monkeypatch):
    files, spans = dict(board.disk.files), layout(board)
    start, _, index = spans[2][7]
    MemoryFiles(flipped(files, "/v/2", start + 8)).put_under(monkeypatch, journal, mount, segment)
    store = Store("/v", KEY)
    names = [r.index for r in board.decoded().records if r.kind == 2]
    name = f"name-{names.index(index)}"
    with pytest.raises(VaultTampered) as caught:
        store.get(name)
    assert caught.value.index == index
    store.set(name, "healed")
    assert store.get(name) == "healed" and Store("/v", KEY).get(name) == "healed"
