"""The store: a dictionary that survives, whatever is done to it."""

import pytest

SCRIPT = "device_vault"


@pytest.mark.parametrize(("seed", "bits"), [(1, 128), (2, 256)])
def test_random_histories_equal_a_dict(device, tmp_path, seed, bits):
    names, segments, reports = device(
        SCRIPT, "store_history", str(tmp_path / "s"), seed, 900, bits
    )
    assert names > 10 and segments == 4
    assert reports == []


def test_every_kind_of_value_comes_back(device, tmp_path):
    assert device(SCRIPT, "store_values", str(tmp_path / "s")) == 10


def test_refusals_change_nothing(device, tmp_path):
    expected = [
        ("LimitError", "expected a name of 1..48 bytes"),
        ("LimitError", "expected a name of 1..48 bytes"),
        ("LimitError", "expected a name of 1..48 bytes"),
        ("LimitError", "expected <= 256 names"),
        ("LimitError", "expected <= 4096 bytes, got 4"),
        ("KeyError", "nobody"),
        ("VaultTampered", "expected segments sealed by this key, got none"),
        ("VaultTampered", "expected segments sealed by this key, got none"),
        ("LimitError", "expected a name <= 32 bytes"),
    ]
    got = device(SCRIPT, "store_refusals", str(tmp_path / "s"))
    assert len(got) == len(expected)
    for (kind, message), wanted in zip(got, expected, strict=True):
        assert kind == wanted[0] and wanted[1] in message


def test_a_full_store_refuses_and_keeps_all(device, tmp_path):
    refused, count, again, after = device(SCRIPT, "store_full", str(tmp_path / "s"))
    assert refused == ["VaultFull", "store: expected <= 4 segments of values"]
    assert 40 <= count <= 60
    assert again[0] == "VaultFull"
    assert after is None
