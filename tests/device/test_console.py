"""The service console's protocol (SPEC 12) on three runtimes: T21 without the waiting."""

import pytest
from uward.codec import cbor
from uward.crypto import p256
from uward.vault import sealed

from host_tools.signing import cose

ROOT = bytes(range(32))
PRIVATE = bytes(range(1, 33))
PUBLIC = p256.public_key(PRIVATE)
DEVICE = "abcdefgh12345678"
HELLO = ["hello", "hex:" + "11" * 16]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "flash"
    for name in ("id", "rec", "slot", "trust"):
        (folder / name).mkdir(parents=True)
    (folder / "id/root").write_bytes(ROOT)
    own = {1: DEVICE, 2: PRIVATE, 3: PRIVATE, 4: b"", 5: PUBLIC}
    sealed.write(ROOT, "/id/dev", cbor.encode(own), str(folder))
    return str(folder)


def run(device, root, *steps, **options):
    return device("device_console", "run", root, list(steps), *options.values())


def names(events):
    return [name for name, _ in events]


def test_it_closes_after_120_s_of_idle_whatever_noise_comes(device, root):
    noise = ["7072696e74283129", "0304", "75776172643a7a7a", 30_000] * 2
    said, events, time, _ = run(device, root, *noise, ["status"], 10_000, HELLO)
    assert [answer[0] for answer in said] == ["no", "no", "no", "ok"]
    assert said[0] == ["no", "proto.malformed", "console: expected hexadecimal, got another"]
    assert said[2] == ["no", "con.locked", "expected hello and unlock before status"]
    assert names(events) == ["con.open", "con.close"]
    assert 120_000 <= time <= 122_000


def test_a_hello_is_signed_over_both_nonces_and_fresh(device, root):
    said, _, _, _ = run(device, root, HELLO, HELLO)
    bodies = []
    for _, signed in said:
        key = cose.ec2_key(_public())
        token = bytes.fromhex(signed[4:])
        bodies.append(cbor.decode(cose.verify1(token, key, b"uward.hello.v1")))
    assert [body[1] for body in bodies] == [DEVICE] * 2
    assert [body[2] for body in bodies] == [bytes.fromhex("11" * 16)] * 2
    assert bodies[0][3] != bodies[1][3] and len(bodies[0][3]) == 16
    assert [body[5] for body in bodies] == [0, 0]


def _public():
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int.from_bytes(PRIVATE, "big"), ec.SECP256R1()).public_key()


@pytest.mark.parametrize(
    ("step", "event", "says"),
    [
        (["hello", "hex:11"], "proto.malformed", "a nonce of 16..32 bytes"),
        (["hello"], "proto.malformed", "other arguments of hello"),
        (["unlock", "text"], "proto.malformed", "other arguments of unlock"),
        ([], "proto.malformed", "expected [request, ...]"),
        ([7], "proto.malformed", "expected [request, ...]"),
        (["unlock", "hex:00"], "con.break", "expected hello before each answer"),
        (["wifi", "a", "12345678"], "con.locked", "expected hello and unlock"),
        (["anything"], "con.locked", "expected hello and unlock"),
    ],
)
def test_what_is_no_request_is_refused_by_name(device, root, step, event, says):
    said, events, _, kept = run(device, root, step)
    assert said[0][:2] == ["no", event] and says in said[0][2]
    assert names(events) == ["con.open", "con.close"] and kept is None


def test_each_wrong_answer_is_in_flash_and_doubles_the_wait(device, root):
    wrong = [HELLO, ["unlock", "hex:00"], 5_000, HELLO, ["unlock", "hex:f6"], 9_000]
    said, events, _, kept = run(device, root, *wrong, HELLO, ["unlock", "hex:00"])
    waits = [answer[2].rpartition("; ")[2] for answer in said[1::2]]
    assert waits[:2] == ["5 s to wait", "10 s to wait"]
    assert said[5] == ["no", "con.lockout", "1 s to wait"]  # not judged: not counted
    assert kept == 2
    assert [reason for name, reason in events if name == "con.lockout"] == [
        "1 wrong answers, 5 s",
        "2 wrong answers, 10 s",
    ]


@pytest.mark.parametrize(("failures", "seconds"), [(3, 20), (11, 3600), ("damaged", 3600)])
def test_the_wait_survives_a_reset(device, root, failures, seconds):
    steps = [HELLO, ["unlock", "hex:00"]]
    said, _, _, _ = run(device, root, *steps, failures=failures)
    assert said[1] == ["no", "con.lockout", f"{seconds} s to wait"]


def test_anybody_may_close_it(device, root):
    said, events, time, _ = run(device, root, ["close"])
    assert said == [["ok", None]] and time == 0
    assert names(events) == ["con.open", "con.close"]


def test_the_wait_doubles_up_to_an_hour(device):
    waits = device("device_console", "waits", 16)
    assert waits[:4] == [0, 5_000, 10_000, 20_000]
    assert waits[10] == 2_560_000 and waits[11:] == [3_600_000] * 5
