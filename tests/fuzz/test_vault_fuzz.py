"""`uward vault inspect` with hostile dumps: a refusal or a verdict, never an invented record."""

import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from uward.vault.keys import vault_key
from uward.vault.store import Store

from host_tools import cli, ui
from host_tools.boards import catalogue
from host_tools.errors import Refused
from host_tools.image import lfs
from host_tools.vault import journal

KEY = vault_key(bytes(range(32)), "store")
SEALED = journal.Sealed(KEY, "store")
PICO_W = catalogue.load("rpi_pico_w")
WHERE = ("--folder", "/vault/store", "--name", "store")
NAMES = st.one_of(
    st.sampled_from(["1", "2", "3", "007", "0", "²", "٣", "9" * 9, "9" * 5000, "t/0", "t/x"]),
    st.text(max_size=6),
)
ATOMS = st.one_of(
    st.sampled_from([b"\xff\xff\x00\x01", b"\xff\xff", b"\x00\x01\x00\x01", bytes(60)]),
    st.binary(max_size=200),
)
CONTENTS = st.lists(ATOMS, max_size=30).map(b"".join)
SETTINGS = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of a store of 200 records, by path below its folder."""
    folder = tmp_path_factory.mktemp("fuzz") / "v"
    store = Store(str(folder), KEY, create=True)
    for i in range(200):
        store.set(f"name-{i % 50}", [i, "value"])
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@settings(SETTINGS, max_examples=150)
@given(strangers=st.dictionaries(NAMES, CONTENTS, max_size=4))
@example(strangers={"007": b"x", "²": b"x", "9" * 5000: b"x"})
@example(strangers={"9": b"\xff\xff\x00\x01" * 9000})
def test_strangers_files_of_any_name_and_content(files, strangers):
    whole = {record.index for record in journal.read(files, SEALED).records}
    for sealed in (None, SEALED):
        alone = journal.read(strangers, sealed)
        among = journal.read({**strangers, **files}, sealed)
        assert alone.records == []
        assert {record.index for record in among.records} <= whole


def mutated(data, seed):
    """Bytes flipped, overwritten, moved, cut off: what may happen to a file or a dump."""
    rng = random.Random(seed)
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        at = int(len(out) * rng.random() ** 2) if out else 0
        kind = rng.randrange(5)
        if kind == 0 and out:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at : at + 4] = rng.choice([b"\xff\xff\x00\x01", bytes(4), rng.randbytes(4)])
        elif kind == 2:
            size, source = rng.randrange(300), rng.randrange(len(out) + 1)
            out[at : at + size] = out[source : source + size]
        elif kind == 3:
            del out[at : at + rng.randrange(200)]
        else:
            out[at:at] = rng.randbytes(rng.randrange(200))
    return bytes(out)


@settings(SETTINGS, max_examples=200)
@given(seed=st.integers(0, 1 << 32))
def test_changed_files_never_give_a_record_that_was_not_sealed(files, seed):
    sealed = {(r.index, r.kind, r.payload) for r in journal.read(files, SEALED).records}
    rng = random.Random(seed)
    changed = dict(files)
    for path in rng.sample(sorted(files), rng.randint(1, len(files))):
        changed[path] = mutated(files[path], rng.random())
    found = journal.read(changed, SEALED)
    assert {(r.index, r.kind, r.payload) for r in found.records} <= sealed
    indexes = [record.index for record in found.records]
    assert found.damages or indexes == list(range(len(indexes)))


@settings(SETTINGS, max_examples=60)
@given(seed=st.integers(0, 1 << 32))
def test_changed_file_systems_are_read_or_refused(files, seed):
    image = lfs.build(PICO_W, {"/vault/store/" + path: data for path, data in files.items()})
    rng = random.Random(seed)
    changed = bytearray(image)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        block = rng.choice([0, 1, *range(172, 186)])  # where littlefs put folders and files
        at = block * 4096 + int(4096 * rng.random() ** 3)
        changed[at : at + 4] = mutated(bytes(changed[at : at + 4]), rng.random())[:4].ljust(4)
    try:
        found = lfs.read(PICO_W, bytes(changed))
    except Refused as refusal:
        assert "no readable littlefs" in str(refusal)
        return
    below = {path.removeprefix("/vault/store/"): data for path, data in found.items()}
    sealed = {(r.index, r.payload) for r in journal.read(files, SEALED).records}
    assert {(r.index, r.payload) for r in journal.read(below, SEALED).records} <= sealed


@pytest.mark.parametrize("name", ["007", "²", "9" * 200])
def test_the_command_refuses_what_only_looks_like_a_segment(tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr(ui, "json_mode", False)
    folder = tmp_path / "vault/store"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"x" * 300)
    code = cli.run(["vault", "inspect", str(tmp_path), *WHERE])
    error = capsys.readouterr().err
    assert code == 1 and error.startswith("uward: error: no vault at /vault/store")


def test_the_command_names_bytes_that_were_added(tmp_path, capsys, monkeypatch, files):
    monkeypatch.setattr(ui, "json_mode", False)
    folder = tmp_path / "vault/store"
    (folder / "t").mkdir(parents=True)
    for path, data in files.items():
        (folder / path).write_bytes(data)
    plausible = b"\x0f\xff\x00\x0f" * 5000  # frames of the largest size, at each fourth byte
    (folder / "1").write_bytes(files["1"] + plausible)
    key = tmp_path / "key"
    key.write_bytes(KEY)
    code = cli.run(["vault", "inspect", str(tmp_path), *WHERE, "--key", str(key)])
    captured = capsys.readouterr()
    assert code == 1 and "verified  201" in captured.out  # with those of the tail files after it
    assert "0 records are not what was sealed" in captured.err
