"""The example app: its sensor driver against a modelled FIFO, and what its heart rate refuses."""

import pytest


def test_driver_sets_the_chip_up_as_its_data_sheet_says(device):
    _, _, _, periods, writes = device("device_heart", "driver", [])
    assert periods == [100]
    assert writes == [
        [0x09, [0x40]],
        [0x08, [0x00]],
        [0x0A, [0x27]],
        [0x0C, [0x24]],
        [0x04, [0, 0, 0]],
        [0x09, [0x02]],
    ]


def test_driver_hands_every_sample_over_in_order(device):
    batches = [[i * 10 + k for k in range(10)] for i in range(40)]
    out, lost, errors, _, _ = device("device_heart", "driver", batches)
    assert out == list(range(400))
    assert lost == errors == 0


def test_driver_takes_a_full_fifo_and_counts_what_it_lost(device):
    out, lost, _, _, _ = device("device_heart", "driver", [list(range(37)), [99]])
    assert out == [*range(32), 99]
    assert lost == 5


def test_driver_masks_what_18_bits_do_not_hold(device):
    out, *_ = device("device_heart", "driver", [[0xFC0000 | 0x3FFFF]])
    assert out == [0x3FFFF]


def test_driver_counts_a_failed_transfer_and_goes_on(device):
    assert device("device_heart", "broken_bus") == [[1, 2, 3], 1]


def test_a_timer_that_its_callback_ended_is_started_anew(device):
    found = device("device_heart", "dead_timer")
    assert found == [[1, 1, 2, 2], [False, True], [7, 8], 1]


def test_ring_keeps_the_newest_and_counts_the_rest(device):
    assert device("device_heart", "ring_overflow", 600) == [88, 599, 512, 88]


def test_another_part_is_refused(device):
    assert "expected part 0x15, got 0x11" in device("device_heart", "wrong_part")


@pytest.mark.parametrize("interval", [35, 60, 100, 150])
def test_even_pulses_give_their_rate(device, interval):
    assert device("device_heart", "pulses", interval, 14) == pytest.approx(
        6000 / interval, rel=0.01
    )


def test_too_few_pulses_give_no_rate(device):
    assert device("device_heart", "pulses", 80, 7) is None


@pytest.mark.parametrize("value", [0, 50000, 262143])
def test_a_flat_line_gives_no_rate(device, value):
    assert device("device_heart", "flat", 1000, value) is None


def test_a_pulse_that_stops_gives_no_rate(device):
    before, after = device("device_heart", "stopped", 80, 300)
    assert before == pytest.approx(75, rel=0.01)
    assert after is None


def test_uneven_pulses_give_no_rate(device):
    assert (
        device("device_heart", "irregular", [40, 110, 55, 140, 70, 45, 120, 60, 150, 80, 50])
        is None
    )
