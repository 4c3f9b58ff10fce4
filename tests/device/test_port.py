"""uward.port on CPython and the Unix port; umqtt.simple's blocking calls (link/umqtt)."""

import pytest

both = pytest.mark.parametrize("device", ["cpython", "unix"], indirect=True)


@both
def test_clock_is_ours_alone(device):
    difference, settable, restored = device("device_port", "clock", 1_900_000_000)
    assert difference in (0, 1) and restored in (0, 1)
    assert settable is False  # TLS reads the host's


@both
def test_reset_passes_except_exception(device):
    assert device("device_port", "reset") == 75


@both
def test_heap(device):
    assert device("device_port", "heap") == [True, True, False, True]


@both
def test_timer(device):
    assert device("device_port", "timer", 5, 10) == [0, True]


@both
def test_identity(device, monkeypatch):
    monkeypatch.setenv("UWARD_UNIQUE_ID", "0011aaff")
    assert device("device_port", "identity") == ["0011aaff", 33, True]


@both
def test_programs_for_umqtt_simple_run(device, umqtt):
    refusal, present, got, log = device("device_port", "blocking", str(umqtt))
    assert refusal == "expected TLS credentials, got none"
    assert present is True
    assert got == [["t", "hey"]]
    assert log[0] == ["broker.local", 8883]
    assert log[2:4] == ["3004000161" + "31", "3206000162000132"]
    assert log[-3:] == ["c000", "e000", "closed"]
