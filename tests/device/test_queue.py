"""The outbox in flash: ordered, without a gap, bounded, nothing lost uncounted."""

import pytest

SCRIPT = "device_vault"
SEGMENT = 12276


@pytest.mark.parametrize("seed", [1, 2])
def test_random_histories_have_no_gap_and_lose_nothing_uncounted(device, tmp_path, seed):
    capacity = 3 * SEGMENT
    appended, sent, dropped, segments, reports = device(
        SCRIPT, "queue_history", str(tmp_path / "q"), seed, 1500, capacity
    )
    assert appended > 600 and dropped > 0
    assert sent + dropped == appended
    assert segments <= 3
    assert reports == []


def test_packs_come_in_order(device, tmp_path):
    got = device(SCRIPT, "queue_in_order", str(tmp_path / "q"), 150)
    assert got == [[n + 1, n, str(n)] for n in range(150)]


def test_a_full_outbox_loses_nothing_while_it_is_sent(device, tmp_path):
    appended, sent, dropped, most = device(
        SCRIPT, "queue_replays", str(tmp_path / "q"), 3 * SEGMENT
    )
    assert appended > 100
    assert [sent, dropped] == [appended, 0]
    assert 3 < most <= 9


def test_numbers_go_on_from_an_outbox_elsewhere(device, tmp_path):
    sent, refusals = device(SCRIPT, "queue_adopts", str(tmp_path / "q"))
    assert sent == [
        ["old 1", 1, "s 1"],
        ["new 8", 8, "was 8"],
        ["new 9", 9, "was 9"],
        ["new 10", 10, "s 10"],
    ]
    assert refusals == [
        ["ProtocolError", "adopt: expected no pack under way, got 9"],
        ["ProtocolError", "seal: expected sequence 10, got 9"],
    ]


def test_refuse_policy_keeps_what_it_took(device, tmp_path):
    refusals, kept, dropped, told = device(
        SCRIPT, "queue_refuses", str(tmp_path / "q"), 3 * SEGMENT
    )
    kinds = ["ProtocolError", "VaultRestored", "ProtocolError", "VaultRestored", "VaultRestored"]
    assert [kind for kind, _ in refusals] == kinds
    assert "expected sequence 1, got 2" in refusals[0][1]
    assert "expected <= 0, got 1" in refusals[1][1]
    assert "expected <= 4, got 5" in refusals[3][1]
    assert 55 < kept < 70 and dropped == 1
    assert told[0] == "out.dropped"


def test_critical_packs_are_refused_rather_than_dropped(device, tmp_path):
    taken, refused, sent = device(
        SCRIPT, "queue_full_of_critical", str(tmp_path / "q"), 3 * SEGMENT
    )
    assert refused > 0 and taken > 80
    assert sent == taken
