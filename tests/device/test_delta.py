"""Delta updates: detools is the oracle; a patch fills a slot through resets, or is given up."""

import hashlib
import io
import random

import cbor2
import detools
import pytest
from uward import limits

from host_tools.boards import catalogue
from host_tools.errors import Refused, UsageError
from host_tools.image import build, sources
from host_tools.image.digests import Build
from host_tools.signing import author, content, delta
from tests.device import boot_kit as kit

IDS = [kit.VENDOR.hex(), kit.CLASS.hex(), kit.DEVICE, kit.NOW]


def of(version, sequence, app):
    board = catalogue.load("unix")
    facts = Build(version, sequence, 1, kit.NOW, board.name, "app.main", board.mpy_arch)
    return build.images(board, facts, app, ()).app


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Two images of this project: in the newer one two modules changed, one is new."""
    app = tmp_path_factory.mktemp("newer") / "app"
    app.mkdir()
    for path in sources.EXAMPLE_APP.glob("*.py"):
        (app / path.name).write_bytes(path.read_bytes())
    with open(app / "heart.py", "a") as f:
        f.write("\n\ndef half(rate):\n    return rate // 2\n")
    table = random.Random(5).randbytes(9000).hex()
    (app / "table.py").write_text(f'VALUES = "{table}"\n')
    return of("1.0.0", 1, sources.EXAMPLE_APP), of("1.1.0", 2, app)


def synthetic(seed):
    """An image and one made of its parts: moved, changed here and there, cut, with new bytes."""
    rng = random.Random(seed)
    old = rng.randbytes(30_000)
    new = bytearray(old[9000:21_000] + rng.randbytes(700) + old[:9000] + bytes(400) + old[20_000:])
    for _ in range(300):
        new[rng.randrange(len(new))] = rng.randrange(256)
    return old, bytes(new)


def files(folder, old, patch):
    (folder / "old").write_bytes(old)
    (folder / "patch").write_bytes(patch)
    return str(folder / "old"), str(folder / "patch")


def patch_of(old, new, **options):
    out = io.BytesIO()
    options = {"patch_type": "sequential", "compression": "crle", **options}
    detools.create_patch(io.BytesIO(old), io.BytesIO(new), out, **options)
    return out.getvalue()


def applied(old, patch):
    out = io.BytesIO()
    detools.apply_patch(io.BytesIO(old), io.BytesIO(patch), out)
    return hashlib.sha256(out.getvalue()).hexdigest()


def test_a_patch_between_real_images_is_applied_as_detools_applies_it(device, tmp_path, real):
    old, new = real
    made = delta.make(old, new)
    assert made.source == hashlib.sha256(old).digest()
    assert 4096 < len(made.payload) < len(new) // 4
    paths = files(tmp_path, old, made.payload)
    digest, size, steps, largest = device("device_delta", "apply", *paths, len(new))
    assert digest == applied(old, made.payload) == hashlib.sha256(new).hexdigest()
    assert size == len(new) and largest == 2048
    assert steps == len(new) // 2048  # each step is short: sensing goes on (S18)


@pytest.mark.parametrize("seed", range(4))
def test_patches_come_in_parts_of_any_size(device, tmp_path, seed):
    old, new = synthetic(seed)
    patch = patch_of(old, new)
    paths = files(tmp_path, old, patch)
    part = (1, 7, 512, 4096)[seed]
    assert device("device_delta", "apply", *paths, len(new), 0, part)[0] == applied(old, patch)


def test_what_is_there_already_is_skipped(device, tmp_path):
    old, new = synthetic(9)
    paths = files(tmp_path, old, patch_of(old, new))
    skips = [4096, 8192, 16_384, 28_672]
    got = device("device_delta", "apply_all", *paths, len(new), skips, 4096)
    for skip, (digest, size, _, _) in zip(skips, got, strict=True):
        assert size == len(new) - skip
        assert digest == hashlib.sha256(new[skip:]).hexdigest()


def number(value):
    """A signed number as detools packs it."""
    out = [abs(value) & 0x3F | (0x40 if value < 0 else 0)]
    value = abs(value) >> 6
    while value:
        out[-1] |= 0x80
        out.append(value & 0x7F)
        value >>= 7
    return bytes(out)


def crle(data):
    assert len(data) < 128
    return bytes([0, len(data)]) + data


def head(size, body, form=b"\x02"):
    return form + number(size) + crle(body)


def test_what_is_no_patch_of_this_source_is_refused(device, tmp_path):
    old, new = synthetic(3)
    good = patch_of(old, new)
    three = number(0) + number(3) + bytes(3)  # no data format; three bytes of the source
    cases = {
        "another compression": (patch_of(old, new, compression="heatshrink"), len(new), "format"),
        "in place": (b"\x12" + good[1:], len(new), "expected format 0x02, got 0x12"),
        "of another size": (good, len(new) + 1, "expected one to"),
        "cut off": (good[: len(good) // 2], len(new), "expected an image of"),
        "cut in a segment": (good[:-1], len(new), "expected an image of"),
        "nothing": (b"", len(new), "expected an image of"),
        "extended": (good + crle(b"\x00"), len(new), "expected its end after"),
        "segment of kind 2": (b"\x02" + number(3) + b"\x02\x01x", 3, "kind 0 or 1, got 2"),
        "endless number": (b"\x02" + b"\xff" * 9, 3, "numbers of <= 27 bits"),
        "endless segment": (b"\x02" + number(3) + b"\x00" + b"\xff" * 9, 3, "numbers of <= 27"),
        "data format": (head(3, number(5)), 3, "plain data, got a format of 5"),
        "more than the image": (head(3, number(0) + number(4)), 3, "<= 3 bytes more, got 4"),
        "less than nothing": (head(3, number(0) + number(-1)), 3, "<= 3 bytes more, got -1"),
        "more than the source": (
            b"\x02" + number(40_000) + crle(number(0) + number(40_000)),
            40_000,
            "a source of 30000 bytes",
        ),
        "before the source": (
            head(6, three + number(0) + number(-4) + number(3) + bytes(3)),
            6,
            "a place in the source, got -1",
        ),
        "behind the source": (
            head(6, three + number(0) + number(30_000)),
            6,
            "a place in the source, got 30003",
        ),
    }
    paths = files(tmp_path, old, b"")
    given = [[patch.hex(), size] for patch, size, _ in cases.values()]
    got = device("device_delta", "refusals", paths[0], given)
    for name, said, (_, _, expected) in zip(cases, got, cases.values(), strict=True):
        assert isinstance(said, str), name
        assert said.startswith("upd.malformed: patch: expected ") and expected in said, name


def test_no_flipped_byte_of_a_patch_escapes(device, tmp_path):
    """It is refused, or makes another image, which its digest then shows: never an exception.

    A few say the same as before: the sign of a zero, the move after the last byte.
    """
    old, new = synthetic(4)
    patch = patch_of(old, new)
    rng = random.Random(1)
    places = [*range(40), *(rng.randrange(len(patch)) for _ in range(60))]
    given = [
        [
            (patch[:at] + bytes([patch[at] ^ 1 << rng.randrange(8)]) + patch[at + 1 :]).hex(),
            len(new),
        ]
        for at in places
    ]
    paths = files(tmp_path, old, b"")
    same = 0
    for said in device("device_delta", "refusals", paths[0], given):
        if isinstance(said, str):
            assert said.startswith("upd.malformed: patch: ")
        else:
            same += said[0] == hashlib.sha256(new).hexdigest()
    assert same < 5


def test_the_patch_of_the_running_image_is_chosen(device):
    first, second = bytes(range(32)), bytes(range(32, 64))
    both = cbor2.dumps([[first, 5000, bytes(32), None], [second, 100, bytes(16), b"\x01"]])
    bad = {
        "no array": {},
        "none": [],
        "too many": [[first, 1, bytes(16), None]] * 5,
        "three parts": [[first, 1, bytes(16)]],
        "short digest": [[first[:16], 1, bytes(16), None]],
        "empty": [[first, 0, b"", None]],
        "too large": [[first, 327_681, bytes(16 * 81), None]],
        "a truth": [[first, True, bytes(16), None]],
        "too few hashes": [[first, 5000, bytes(16), None]],
        "text": [[first, 1, bytes(16), "x"]],
    }
    cases = [[both.hex(), image.hex(), 31] for image in (first, second, bytes(32))]
    cases += [[cbor2.dumps(value).hex(), first.hex(), 31] for value in bad.values()]
    got = device("device_delta", "choices", cases)
    assert got[:3] == [[31, 5000, False], [33, 100, True], None]
    for name, said in zip(bad, got[3:], strict=True):
        assert said.startswith("upd.malformed: manifest: delta"), name


# into a slot


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def pair():
    old, new = synthetic(11)
    return old, new, delta.make(old, new)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def ready(device, tmp_path, fleet, pair, encrypt=None, **options):
    """-> arguments of device_delta's runs: a board whose slot a holds the old image."""
    old, new, made = pair
    if encrypt:
        made = delta.make(old, new, encrypt)
    paths = files(tmp_path, old, made.payload)
    (tmp_path / "new").write_bytes(new)
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    envelope, _ = fleet.release(new, sequence=2, deltas=[made], encrypt=encrypt, **options)
    device("device_delta", "set_up", str(root), paths[0])
    trusted = fleet.signed(fleet.document()).hex()
    return [str(root), envelope.hex(), trusted, IDS, paths[1]], made


@pytest.mark.parametrize("stop", [None, 1, 9, 14])
def test_a_patch_fills_the_slot_also_after_a_reset(device, tmp_path, fleet, pair, stop):
    arguments, _ = ready(device, tmp_path, fleet, pair)
    kept, refusal, tries, new, old = device(
        "device_delta", "install_patch", *arguments, None, stop
    )
    assert refusal == "" and tries == 3
    assert (new, old) == (sha(pair[1]), sha(pair[0]))  # the source was only read
    assert kept == (stop and stop * limits.PATCH_BUFFER)  # each step filled it once


def test_an_encrypted_patch_is_opened_on_the_way(device, tmp_path, fleet, pair):
    kek = fleet.kek
    arguments, made = ready(device, tmp_path, fleet, pair, (kek.kid, kek.key))
    assert made.payload != pair[2].payload and len(made.payload) == len(pair[2].payload)
    keks = [[kek.kid.hex(), kek.key.hex()]]
    got = device("device_delta", "install_patch", *arguments, keks)
    assert got[1:] == ["", 3, sha(pair[1]), sha(pair[0])]
    wrong = [[kek.kid.hex(), bytes(32).hex()]]
    said = device("device_install", "open_refusal", *arguments[:4], wrong)
    assert said.startswith(f"upd.bad_digest: payload: KEK {kek.kid.hex()}: keywrap: ")


def test_a_flipped_block_of_a_patch_is_not_applied(device, tmp_path, fleet, pair):
    arguments, made = ready(device, tmp_path, fleet, pair)
    flipped = bytearray(made.payload)
    flipped[len(flipped) // 2] ^= 1
    (tmp_path / "patch").write_bytes(flipped)
    got = device("device_delta", "install_patch", *arguments)
    assert got[1].startswith("upd.bad_digest: block ") and got[2] == 0
    assert got[4] == sha(pair[0])


def test_a_patch_that_makes_another_image_gives_way_to_the_whole_one(
    device, tmp_path, fleet, pair
):
    old, new, _ = pair
    other = bytes([new[0] ^ 1]) + new[1:]
    wrong = delta.Delta(hashlib.sha256(old).digest(), patch_of(old, other))
    arguments, _ = ready(device, tmp_path, fleet, (old, new, wrong))
    kept, refusal, tries, made, source = device(
        "device_delta", "fall_back", *arguments, str(tmp_path / "new")
    )
    assert refusal == "upd.bad_digest: image: expected its digest, got another"
    assert (kept, tries, made, source) == (0, 3, sha(new), sha(old))


# on the host


def test_a_patch_that_saves_nothing_is_not_made():
    rng = random.Random(2)
    with pytest.raises(Refused, match="saves nothing"):
        delta.make(rng.randbytes(5000), rng.randbytes(5000))
    with pytest.raises(UsageError, match="got the same"):
        delta.make(b"same", b"same")


def test_the_manifest_names_the_patches(pair):
    old, new, made = pair
    kek = (b"kid-kid-", bytes(range(32)))
    sealed = delta.make(old[:-1], new, kek)
    manifest, _ = author.build_manifest(
        new, 2, 1, "1.2", kit.VENDOR, kit.CLASS, deltas=[made, sealed]
    )
    found = author.inspect(author.sign(manifest))["deltas"]
    assert found == [
        {"source": made.source.hex(), "size": len(made.payload)},
        {"source": sealed.source.hex(), "size": len(sealed.payload)},
    ]
    author.check_patches(manifest, [made.payload, sealed.payload])
    assert content.decrypt(sealed.payload, sealed.encryption, kek[1]) == patch_of(old[:-1], new)
    with pytest.raises(Refused, match="names 2 patches, got 1"):
        author.check_patches(manifest, [made.payload])
    with pytest.raises(Refused, match="is not the manifest's"):
        author.check_patches(manifest, [sealed.payload, made.payload])
    with pytest.raises(UsageError, match="two patches start from the same image"):
        author.build_manifest(new, 2, 1, "x", kit.VENDOR, kit.CLASS, deltas=[made, made])
    with pytest.raises(UsageError, match="at most 4 patches"):
        author.build_manifest(new, 2, 1, "x", kit.VENDOR, kit.CLASS, deltas=[made] * 5)
