"""The collector's half of a data key: given after attestation, kept from barred devices (S9)."""

import dataclasses
import stat

import pytest
from collector_kit import ALICE, of

from host_tools.errors import DeviceError, UsageError
from host_tools.fleet import attest
from host_tools.fleet.attestations import Attestations, Folder, Result
from host_tools.fleet.collector import Collector
from host_tools.fleet.inventory import STOLEN
from host_tools.fleet.offers import Releases
from host_tools.fleet.shares import Shares


@pytest.fixture
def bench(bench, tmp_path, monkeypatch):
    """A collector whose verdict is what `bench.status` says: judging is tested elsewhere."""
    bench.shares = Shares(tmp_path / "shares")
    bench.status = attest.TRUSTED

    def take(self, record, token, now):
        return Result(record.id, bench.status, [], now, "", "", {}, 1, 1)

    monkeypatch.setattr(Attestations, "take", take)
    publications = dataclasses.replace(bench.publications, share=bench.shares.get)
    bench.collector = Collector(
        bench.store, bench.inventory, Releases(tmp_path / "releases", lambda: 0.0), bench.private,
        bench.time, publications, Attestations(Folder(tmp_path / "attest"), lambda board: None),
    )  # fmt: skip
    return bench


def given(bench, alice):
    """-> the shares that an attestation of alice is answered with."""
    outcome = bench.hand(alice, "att", alice.seal("att", b"a token"))
    return [alice.open("key", payload)[0] for payload in of(outcome, "key")]


def test_a_trusted_device_gets_its_half_and_no_other(bench):
    share = bench.shares.make(ALICE)
    alice = bench.device()
    outcome = bench.hand(alice, "att", alice.hello())
    assert of(outcome, "key") == []  # hello alone is not enough
    assert given(bench, alice) == [share]
    alice.boot()
    bench.hand(alice, "att", alice.hello())
    assert given(bench, alice) == [share]  # sealed to the new boot


@pytest.mark.parametrize("status", [attest.UNKNOWN, attest.CLONED])
def test_who_is_not_believed_gets_nothing(bench, status):
    bench.shares.make(ALICE)
    bench.status = status
    alice = bench.device()
    bench.hand(alice, "att", alice.hello())
    assert given(bench, alice) == []


def test_a_stolen_device_gets_nothing(bench):
    bench.shares.make(ALICE)
    alice = bench.device()
    bench.hand(alice, "att", alice.hello())
    bench.inventory.mark(ALICE, STOLEN)
    assert bench.hand(alice, "att", alice.seal("att", b"a token")).down == []
    assert "id.revoked" in [name for _, name in bench.events()]


def test_a_device_without_a_share_gets_none(bench):
    alice = bench.device()
    bench.hand(alice, "att", alice.hello())
    assert given(bench, alice) == []


def test_a_share_is_private_and_never_guessed(bench, tmp_path):
    share = bench.shares.make(ALICE)
    path = bench.shares.path(ALICE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert bench.shares.get(ALICE) == share and len(share) == 32
    assert bench.shares.make(ALICE) != share
    path.write_bytes(share[:31])
    with pytest.raises(DeviceError, match="expected 32 bytes, got 31"):
        bench.shares.get(ALICE)
    with pytest.raises(UsageError):
        bench.shares.path("../other")
