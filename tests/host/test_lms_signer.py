"""The HSS-LMS signer: right signatures, and never two with one index (S6, T14)."""

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import pyhsslms
import pytest
from pyhsslms.pyhsslms import LmsPrivateKey, u32
from uward.crypto import lms as device_lms
from uward.errors import BadSignature

from host_tools.errors import Refused, UsageError
from host_tools.pki import files, lock
from host_tools.signing import cose, keys, lms, lms_key, lms_state

ROOT = Path(__file__).resolve().parents[2]
# Every step of a signature at which a process can be killed, in order.
STEPS = ["locked", "checked", "written", "renamed", "reserved", "journaled", "signed"]


@pytest.fixture
def key(tmp_path):
    """A fresh H5 key: 32 signatures."""
    keys.create_lms(tmp_path / "release", 5)
    return tmp_path / "release"


def sign(path, message=b"message", **options):
    return lms_key.load(path, **options).sign(message)


def refuse(path, part, **options):
    with pytest.raises(Refused, match=part) as caught:
        sign(path, **options)
    return caught.value


@pytest.mark.parametrize(
    ("n", "height", "public_size", "signature_size"),
    [(24, 5, 52, 1384), (24, 10, 52, 1504), (32, 5, 60, 2352)],
)
def test_every_verifier_accepts_and_only_the_message(n, height, public_size, signature_size):
    secret = lms.new_secret(lms.parameters(height, n))
    tree = lms.build_tree(secret)
    public = lms.public_key(secret, tree)
    assert len(public) == public_size
    independent = pyhsslms.HssPublicKey.deserialize(public)
    for index in (0, 1, secret.parameters.leaves - 1):
        signature = lms.sign(secret, tree, index, b"message")
        assert len(signature) == signature_size
        assert lms.index_of(signature) == index
        assert independent.verify(b"message", signature)
        assert not independent.verify(b"massage", signature)
        device_lms.verify(public, b"message", signature)
        with pytest.raises(BadSignature):
            device_lms.verify(public, b"massage", signature)


def test_only_the_exact_signature_is_accepted():
    secret = lms.new_secret(lms.parameters(5))
    tree = lms.build_tree(secret)
    public = cose.hss_key(lms.public_key(secret, tree))
    signature = lms.sign(secret, tree, 3, b"message")
    public.verify(b"message", signature)
    for position in range(0, len(signature), 3):
        broken = bytearray(signature)
        broken[position] ^= 1
        assert not public.accepts(b"message", bytes(broken)), position
    for length in (0, 1, 7, 100, len(signature) - 1):
        assert not public.accepts(b"message", signature[:length])
    for more in (b"\0", bytes(4), signature):
        assert not public.accepts(b"message", signature + more)


@pytest.mark.parametrize("n", [24, 32])
def test_keys_are_derived_as_rfc_8554_appendix_a_says(n):
    secret = lms.new_secret(lms.parameters(5, n))
    chosen = secret.parameters
    other = LmsPrivateKey(
        u32(chosen.lms_type), u32(chosen.ots_type), secret.seed, secret.identifier, 0
    )
    public = lms.public_key(secret, lms.build_tree(secret))
    assert public[4:] == other.publicKey().serialize()


def test_two_processes_make_the_same_tree_and_tell_how_far(monkeypatch):
    secret = lms.new_secret(lms.parameters(10))
    alone = lms.build_tree(secret, processes=1)
    monkeypatch.setattr(lms, "PARALLEL_FROM", 0)
    told = []
    assert lms.build_tree(secret, 2, lambda done, total: told.append((done, total))) == alone
    assert told == [(256, 1024), (512, 1024), (768, 1024), (1024, 1024)]


def test_default_key_costs_at_most_30_s_of_processor_time(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    public = keys.create_lms(tmp_path / "release", processes=2)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 30  # 15 s on two processors
    assert (tmp_path / "release.tree").stat().st_size == 65535 * 24
    signature = sign(tmp_path / "release")
    assert len(signature) == 1624
    public.verify(b"message", signature)
    assert lms_key.status(tmp_path / "release") == lms_state.Status(1, 32767, 32768)


def test_unknown_parameter_set():
    with pytest.raises(UsageError, match="expected a height of"):
        lms.parameters(11)
    with pytest.raises(UsageError, match="got 10 and 16"):
        lms.parameters(10, 16)


def test_each_index_once_until_used_up(key):
    indices = [lms.index_of(sign(key)) for _ in range(32)]
    assert indices == list(range(32))
    assert lms_key.status(key) == lms_state.Status(32, 0, 32)
    assert "new trust document" in refuse(key, "used up: all 32").hint
    with pytest.raises(Refused, match="used up"):
        lms_key.adopt(key)


def test_files_are_private_and_never_overwritten(key):
    made = [key, *(key.with_name(key.name + s) for s in (".tree", ".state", ".journal"))]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o600] * 4
    before = [path.read_bytes() for path in made]
    with pytest.raises(Refused, match="exists and is not overwritten"):
        keys.create_lms(key, 5)
    assert [path.read_bytes() for path in made] == before
    sign(key)
    keys.create_lms(key, 5, force=True)
    assert lms_key.status(key).used == 0
    assert key.read_bytes() != before[0]


def test_passphrase(tmp_path, monkeypatch):
    path = tmp_path / "release"
    keys.create_lms(path, 5, passphrase=b"correct horse")
    refuse(path, "none was given")
    refuse(path, "passphrase is wrong", passphrase=b"battery staple")
    assert lms_key.status(path).used == 0
    monkeypatch.setenv("UWARD_PASSPHRASE", "correct horse")
    sign(path, passphrase=keys.passphrase_from())
    secret = tmp_path / "secret"
    secret.write_text("correct horse\nsecond line\n")
    sign(path, passphrase=keys.passphrase_from(secret))
    secret.write_text("")
    with pytest.raises(UsageError, match="expected a passphrase in the first line"):
        keys.passphrase_from(secret)
    assert lms_key.status(path).used == 2


@pytest.mark.parametrize(
    ("suffix", "damage", "part"),
    [
        (".state", None, "expected a file at .*release.state"),
        (".journal", None, "LMS journal"),
        (".tree", None, "LMS tree"),
        (".state", lambda b: b.replace(b'"next": 2', b'"next": 1'), "check value differs"),
        (".state", lambda b: b[:20], "not JSON"),
        (".state", lambda b: b"[]", "expected an object"),
        (".tree", lambda b: b[:-1] + bytes([b[-1] ^ 1]), "SHA-256 differs"),
        (".journal", lambda b: b.replace(b'"index": 0', b'"index": 5'), "broken at line 2"),
        (".journal", lambda b: b"{}\n" + b, "damaged at line 1"),
        ("", lambda b: b"not a key", "expected an HSS-LMS key"),
        ("", lambda b: b'{"format": "uward-lms-1"}', "expected an HSS-LMS key in format"),
        ("", lambda b: b.replace(b'"public": "00', b'"public": "01'), "not that of its tree"),
    ],
)
def test_missing_or_damaged_file_refuses(key, suffix, damage, part):
    sign(key)
    sign(key)
    path = key.with_name(key.name + suffix)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    refuse(key, part)


def test_state_older_than_the_journal_refuses(key):
    state = key.with_name("release.state")
    sign(key)
    old = state.read_bytes()
    sign(key)
    state.write_bytes(old)
    error = refuse(key, "older than the journal: next index 1, but 1 is used")
    assert "keys adopt" in error.hint


def test_journal_older_than_the_state_refuses(key):
    journal = key.with_name("release.journal")
    sign(key)
    old = journal.read_bytes()
    sign(key)
    sign(key)
    journal.write_bytes(old)
    refuse(key, "lines were lost or it is older")


def test_an_edited_journal_refuses(key):
    """Each line is chained to the one before: no other digest, no index that goes back."""
    journal = key.with_name("release.journal")
    for message in (b"one", b"two", b"three"):
        sign(key, message)
    lines = journal.read_bytes().splitlines(keepends=True)
    one, other = (sha256(message).hexdigest().encode() for message in (b"one", b"other"))
    journal.write_bytes(b"".join([lines[0].replace(one, other), *lines[1:]]))
    refuse(key, "broken at line 2")
    journal.write_bytes(lines[0] + lines[2])
    refuse(key, "broken at line 2")
    again = lms_state.Used(0, "00" * 32, 1, lms_state.head_of([used(line) for line in lines]))
    journal.write_bytes(
        b"".join(lines) + json.dumps(asdict(again), sort_keys=True).encode() + b"\n"
    )
    refuse(key, "broken at line 4")


def used(line):
    return lms_state.Used(**json.loads(line))


def test_a_signature_that_does_not_verify_is_not_given_out(key, monkeypatch):
    """A bit that flipped while it was made would give one-time values away."""
    made = lms.sign

    def flipped(*arguments):
        signature = made(*arguments)
        return signature[:900] + bytes([signature[900] ^ 1]) + signature[901:]

    monkeypatch.setattr(lms, "sign", flipped)
    refuse(key, "does not verify")
    monkeypatch.undo()
    assert lms.index_of(sign(key)) == 1  # and its index is gone


def test_copied_key_refuses_until_adopted(key, tmp_path):
    sign(key)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in key.parent.glob("release*"):
        shutil.copy2(path, copy)
    error = refuse(copy / "release", "copied, moved or restored from a backup")
    assert "keys adopt" in error.hint
    assert lms_key.adopt(copy / "release", skip=8) == 9
    assert lms.index_of(sign(copy / "release")) == 9
    assert lms.index_of(sign(key)) == 1


def test_backup_restored_in_place_refuses(key, tmp_path):
    sign(key)
    backup = tmp_path / "backup"
    shutil.copytree(key.parent, backup, ignore=shutil.ignore_patterns("backup"))
    used = sign(key, b"published")
    for path in backup.glob("release*"):
        shutil.copy2(path, key.parent)
    refuse(key, "restored from a backup")
    witness = {lms.index_of(used): sha256(b"published").hexdigest()}
    assert lms_key.adopt(key, witness, skip=1) == 3
    assert lms.index_of(sign(key, witness=witness)) == 3
    assert lms.index_of(sign(key, witness={1: "0" * 64, 3: sha256(b"message").hexdigest()})) == 4
    refuse(key, "another message signed with index 3", witness={3: witness[1]})


def test_witness_sees_a_restore_that_nothing_here_shows(key):
    sign(key, b"one")
    one, two = sha256(b"one").hexdigest(), sha256(b"two").hexdigest()
    refuse(key, "log knows a signature with index 1, but this key's next is 1", witness={1: two})
    refuse(key, "another message signed with index 0", witness={0: two})
    assert lms.index_of(sign(key, witness={0: one})) == 1


def test_witness_knows_an_index_that_was_lost_before_it_signed(key):
    class Cut(Exception):
        """Stands for the end of the process."""

    def cut(step):
        if step == "reserved":
            raise Cut

    with pytest.raises(Cut):
        sign(key, at=cut)
    refuse(key, "index 0: expected none, got 00", witness={0: "0" * 64})
    assert lms.index_of(sign(key)) == 1


def test_adopt_needs_the_journal_not_the_state(key):
    sign(key)
    key.with_name("release.state").unlink()
    assert lms_key.adopt(key, skip=4) == 5
    assert lms.index_of(sign(key)) == 5
    key.with_name("release.journal").unlink()
    with pytest.raises(Refused, match="LMS journal"):
        lms_key.adopt(key)


def test_locked_key_refuses(key):
    with lock.held(key.with_name("release.lock"), "the key"):
        refuse(key, "in use by another process")
    assert lms.index_of(sign(key)) == 0


def test_steps_are_all_known(key):
    seen = []
    sign(key, at=seen.append)
    assert seen == STEPS


KILL = """
import os, signal, sys
from pathlib import Path
from host_tools.signing import lms_key
def at(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
print(lms_key.load(Path(sys.argv[1]), at=at).sign(b"killed").hex())
"""


def test_kill_at_every_step_never_reuses_an_index(key):
    spent = {}
    for step in STEPS:
        done = subprocess.run([sys.executable, "-c", KILL, key, step], cwd=ROOT)
        assert done.returncode == -signal.SIGKILL, step
        signature = sign(key, step.encode())
        index = lms.index_of(signature)
        assert index not in spent
        spent[index] = step
    journal = lms_state.Ledger(key, 32)._read_journal()
    indices = [used.index for used in journal]
    assert len(set(indices)) == len(indices)
    # Killed from "journaled" on, the message could have been signed: its index stays used.
    killed = [used.index for used in journal if used.digest == sha256(b"killed").hexdigest()]
    assert len(killed) == 2
    assert not set(killed) & set(spent)


def test_half_written_journal_line_is_cut_off(key):
    sign(key)
    journal = key.with_name("release.journal")
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"digest": "ab')
    assert lms.index_of(sign(key)) == 1
    lines = journal.read_bytes().splitlines()
    assert len(lines) == 2
    assert lines[0] + b"\n" == whole
    assert lms.index_of(sign(key)) == 2


def test_nothing_is_signed_before_state_and_journal_are_durable(key, monkeypatch):
    done = []

    def fsync(handle):
        done.append("fsync " + Path(os.readlink(f"/proc/self/fd/{handle}")).name)

    def rename(source, target):
        done.append("rename " + Path(target).name)
        rename_for_real(source, target)

    def math(*arguments):
        done.append("sign")
        return sign_for_real(*arguments)

    rename_for_real, sign_for_real = os.replace, lms.sign
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    monkeypatch.setattr(lms, "sign", math)
    sign(key)
    folder = key.parent.name
    temporary = f"fsync .release.state.{os.getpid()}.tmp"
    state = [temporary, "rename release.state", f"fsync {folder}"]
    assert done == [*state, "fsync release.journal", f"fsync {folder}", "sign"]


def test_failed_write_of_the_state_signs_nothing(key, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, "replace", full)
        sign(key)
    assert not list(key.parent.glob(".*tmp"))
    assert lms_key.status(key).used == 0


MANY = """
import sys
from pathlib import Path
from host_tools.errors import Refused
from host_tools.signing import lms, lms_key
key, left = lms_key.load(Path(sys.argv[1])), 8
while left:
    try:
        print(lms.index_of(key.sign(b"message")))
        left -= 1
    except Refused as error:
        if "in use by another process" not in str(error):
            raise
"""


def test_signers_side_by_side_never_share_an_index(key):
    command = [sys.executable, "-c", MANY, str(key)]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    indices = [int(i) for process in running for i in process.communicate(timeout=60)[0].split()]
    assert sorted(indices) == list(range(24))


def test_public_file_and_wrong_files(key, tmp_path):
    public = keys.load_public(keys.public_path(key))
    assert public == lms_key.load(key).public
    beside = keys.public_path(key)
    beside.write_bytes(beside.read_bytes().replace(b'"thumbprint": "', b'"thumbprint": "00'))
    with pytest.raises(Refused, match="thumbprint is not that of the key"):
        keys.load_public(beside)
    with pytest.raises(Refused, match="signing key: expected a file"):
        keys.load_signer(tmp_path / "absent")
    files.write(tmp_path / "odd", b"odd")
    with pytest.raises(Refused, match="not a PKCS#8 key"):
        keys.load_signer(tmp_path / "odd")
