"""The release log on the host: it only grows, is signed, knows what a backup forgot (S6)."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from host_tools.errors import Refused
from host_tools.pki import files, lock
from host_tools.signing import (
    author,
    cose,
    cosign,
    keys,
    lms,
    lms_key,
    log,
    log_entry,
    log_tree,
    log_witness,
    roles,
    trust,
)
from tests import signing_kit

ROOT = Path(__file__).resolve().parents[2]


class Scene:
    """A fleet's log, two holders of role log, and a witness in another folder."""

    def __init__(self, folder):
        self.folder = folder
        self.kit = signing_kit.make(folder / "keys")
        self.anna = keys.create_esp256(folder / "keys/log-anna")
        self.bert = keys.create_esp256(folder / "keys/log-bert")
        self.trust = self.document(1, self.anna, self.bert)
        (folder / "elsewhere").mkdir()
        self.witness = log_witness.Witness(folder / "elsewhere", self.trust.fleet_id)
        self.log = log.Log(folder / "transparency", self.witness)
        self.releases = 0

    def document(self, threshold, *keys_):
        held = trust.Holders(threshold, tuple((str(i), key) for i, key in enumerate(keys_)))
        known = self.kit.document
        return replace(known, roles={**known.roles, roles.LOG.number: held})

    def signer(self, name="log-anna"):
        return keys.load_signer(self.folder / "keys" / name)

    def envelope(self, *signers):
        self.releases += 1
        manifest, _ = author.build_manifest(
            b"image %d" % self.releases,
            self.releases,
            1,
            "1.0",
            signing_kit.VENDOR,
            signing_kit.CLASS,
        )
        chosen = signers or (
            keys.load_signer(self.folder / "keys/release"),
            self.signer("approver"),
        )
        return author.sign(manifest, *chosen)

    def append(self, envelope=None):
        return self.log.append(envelope or self.envelope(), self.trust, [self.signer()])


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def refuse(part, call, *arguments):
    with pytest.raises(Refused, match=part) as caught:
        call(*arguments)
    return caught.value


def test_each_release_is_an_entry_under_a_signed_head(scene):
    envelopes = [scene.envelope() for _ in range(5)]
    assert [scene.append(envelope) for envelope in envelopes] == list(range(5))
    head, signed = log.judge(scene.log.signed_head(), scene.trust)
    assert (head.size, signed) == (5, ["0"])
    leaves = [log_tree.leaf_hash(entry) for entry in scene.log.entries()]
    assert head.root == log_tree.root(leaves)
    entry = log.parse_all(scene.log.entries())[2]
    release = scene.kit.public("release")
    assert (entry.digest, entry.sequence) == (author.suit.parse(envelopes[2]).digest, 3)
    assert entry.used == ((release.kid, 2),)
    assert scene.append(envelopes[1]) == 1  # once more is no second entry
    assert len(scene.log.entries()) == 5


def test_proofs_lead_from_every_state_that_a_device_may_have_seen(scene):
    for _ in range(6):
        envelope = scene.envelope()
        scene.append(envelope)
    leaves = [log_tree.leaf_hash(entry) for entry in scene.log.entries()]
    digest = author.suit.parse(envelope).digest
    for since in range(7):
        signed, entry, index, inside, path = cose.decode(scene.log.proof(digest, since), "proof")
        head = log_entry.parse_head(cosign.split(log_entry.KIND, signed)[0])
        assert log_entry.parse_entry(entry, "entry").digest == digest
        assert log_tree.included(log_tree.leaf_hash(entry), index, 6, inside, head.root)
        assert not since or log_tree.consistent(
            since, log_tree.root(leaves[:since]), 6, head.root, path
        )
    assert scene.log.proof(bytes(32), 0) is None
    refuse("log.fork: a device saw a log of 7 entries, ours has 6", scene.log.proof, digest, 7)


def test_two_holders_one_elsewhere(scene):
    scene.trust = scene.document(2, scene.anna, scene.bert)
    envelope = scene.envelope()
    error = refuse("role log needs 2 signature.s., got 1", scene.append, envelope)
    assert "uward log sign" in error.hint
    assert scene.log.signed_head() is None
    assert scene.log.proof(author.suit.parse(envelope).digest, 0) is None
    message = scene.log.to_be_signed(scene.trust, scene.bert)
    wrong = scene.signer("log-anna").sign(message)
    refuse("does not verify", scene.log.attach, scene.trust, scene.bert, wrong)
    head = scene.log.attach(scene.trust, scene.bert, scene.signer("log-bert").sign(message))
    assert head.size == 1
    assert scene.append(envelope) == 0
    assert log.judge(scene.log.signed_head(), scene.trust)[1] == ["0", "1"]
    assert not (scene.log.folder / "pending").exists()


def test_a_holder_signs_a_pending_head_once(scene):
    scene.trust = scene.document(2, scene.anna, scene.bert)
    for _ in range(2):
        refuse("got 1", scene.append, scene.envelope())
        refuse("got 1", scene.log.sign_again, scene.trust, [scene.signer()])
    assert scene.log.sign_again(scene.trust, [scene.signer("log-bert")]).size == 2


def test_after_the_role_changed_hands_the_head_is_signed_anew(scene):
    scene.append()
    scene.trust = scene.document(1, scene.bert)
    refuse("role log of trust document 1 needs 1 holders, 0 signed", log.judge,
           scene.log.signed_head(), scene.trust)  # fmt: skip
    scene.log.sign_again(scene.trust, [scene.signer("log-bert")])
    assert log.judge(scene.log.signed_head(), scene.trust)[0].size == 1


def test_a_head_of_another_fleet_is_refused(scene):
    scene.append()
    other = replace(scene.trust, fleet_id=bytes(16))
    refuse("of another fleet", log.judge, scene.log.signed_head(), other)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:40],
        lambda data: data[:10] + bytes([data[10] ^ 1]) + data[11:],
    ],
)
def test_entries_that_were_changed_or_lost_are_seen(scene, damage):
    scene.append()
    scene.append()
    path = scene.log.folder / "entries"
    path.write_bytes(damage(path.read_bytes()))
    error = refuse("entries were lost or changed", scene.append)
    assert "newest copy" in error.hint


def test_a_damaged_head_is_refused(scene):
    scene.append()
    (scene.log.folder / "head").write_bytes(b"\xff")
    refuse("log head: expected CBOR", scene.append)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({0: 2}, "expected format 1"),
        ({1: b"short"}, "a byte string of 32"),
        ({2: -1}, "unsigned integers"),
        ({3: b""}, "a byte string of 16"),
        ({5: [[b"k" * 8]]}, "an array of 2"),
        ({5: [["k" * 8, 1]]}, "a byte string of 8"),
        ({5: [[b"k" * 8, "1"]]}, "unsigned integers"),
    ],
)
def test_entries_are_read_strictly(change, part):
    value = [1, bytes(32), 1, bytes(16), 1, []]
    for index, other in change.items():
        value[index] = other
    refuse(part, log_entry.parse_entry, cose.encode(value), "log entry 0")


def test_one_index_in_two_releases_is_refused_by_name(scene):
    """T14: the journal was tricked; the log is the last who sees it."""
    secret = lms_key.load(scene.folder / "keys/release")
    state = {path: path.read_bytes() for path in (scene.folder / "keys").glob("release.*")}

    class Careless:
        public = secret.public

        def sign(self, message):
            return lms.sign(secret.secret, secret.tree, 7, message)

    scene.append(scene.envelope(Careless(), scene.signer("approver")))
    error = refuse(
        r"sign\.state_reuse: key [0-9a-f]{16} signed releases 1 and 2 with one index, 7",
        scene.append,
        scene.envelope(Careless(), scene.signer("approver")),
    )
    assert "revoke the key" in error.hint
    assert len(scene.log.entries()) == 1
    assert state == {path: path.read_bytes() for path in state}


def test_another_process_at_the_log_is_refused(scene):
    scene.append()
    with lock.held(scene.log.folder / "lock", "the log"):
        refuse("in use by another process", scene.append)


# The witness


def test_a_restored_log_is_seen_by_the_witness(scene):
    scene.append()
    shutil.copytree(scene.log.folder, scene.folder / "backup")
    scene.append()
    shutil.rmtree(scene.log.folder)
    shutil.copytree(scene.folder / "backup", scene.log.folder)
    refuse("the witness saw a log of 2 entries, this one has 1", scene.append)
    shutil.rmtree(scene.log.folder)
    refuse("saw a log of 2 entries, this one has 0", scene.append)


def test_a_log_that_was_continued_differently_is_a_fork(scene):
    scene.append()
    shutil.copytree(scene.log.folder, scene.folder / "backup")
    scene.append()
    shutil.rmtree(scene.log.folder)
    shutil.copytree(scene.folder / "backup", scene.log.folder)
    alone = log.Log(scene.log.folder)
    alone.append(scene.envelope(), scene.trust, [scene.signer()])
    refuse("log.fork: the witness saw another log", scene.append)


def test_an_absent_or_new_witness_stops_everything(scene):
    scene.append()
    os.rename(scene.folder / "elsewhere", scene.folder / "gone")
    error = refuse("is not there, and nothing is signed without it", scene.append)
    assert "uward.toml" in error.hint
    (scene.folder / "elsewhere").mkdir()
    assert "uward log witness" in refuse("knows no head of this log", scene.append).hint


def key_witness(scene):
    public = scene.kit.public("release")
    return log_witness.KeyWitness(scene.witness, public.thumbprint)


def test_a_key_restored_together_with_its_journal_does_not_sign(scene):
    """Everything in the fleet's folder is of one backup and agrees with itself (S6)."""
    elsewhere = key_witness(scene)
    path = scene.folder / "keys/release"

    def load():
        return lms_key.load(path, elsewhere=elsewhere)

    load().sign(b"one")
    state = {one: one.read_bytes() for one in path.parent.glob("release.*")}
    load().sign(b"two")
    for one, data in state.items():  # in place: the key file itself, its inode, stays
        one.write_bytes(data)
    lms_key.load(path)  # nothing here shows it
    error = refuse("witness knows signatures up to index 1, but this key's next is 1", load().sign,
                   b"three")  # fmt: skip
    assert "uward keys adopt" in error.hint
    assert lms_key.adopt(path, skip=1, elsewhere=elsewhere) == 3
    assert lms.index_of(load().sign(b"three")) == 3
    assert scene.witness.next_index(elsewhere.thumbprint) == 4


def test_a_witness_that_never_heard_of_a_used_key_stops_it(scene):
    elsewhere = key_witness(scene)
    path = scene.folder / "keys/release"
    lms_key.load(path).sign(b"one")
    key = lms_key.load(path, elsewhere=elsewhere)
    error = refuse("the witness does not know this key", key.sign, b"two")
    assert "uward log witness" in error.hint


def test_a_damaged_witness_stops_signing(scene):
    elsewhere = key_witness(scene)
    key = lms_key.load(scene.folder / "keys/release", elsewhere=elsewhere)
    key.sign(b"one")
    path = scene.folder / "elsewhere" / f"{scene.trust.fleet_id.hex()}.indices"
    for data, part in ((b"{", "not JSON"), (b"[]", "an object"), (b'{"a": "1"}', "of integers")):
        path.write_bytes(data)
        refuse(part, key.sign, b"two")


KILL = """
import os, signal, sys
from pathlib import Path
from host_tools.signing import lms_key, log_witness
def at(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
path = Path(sys.argv[1])
elsewhere = log_witness.KeyWitness(
    log_witness.Witness(path.parent.parent / "elsewhere", bytes.fromhex(sys.argv[3])),
    bytes.fromhex(sys.argv[4]),
)
print(lms_key.load(path, at=at, elsewhere=elsewhere).sign(b"killed").hex())
"""


@pytest.mark.parametrize("step", ["written", "renamed", "reserved", "journaled", "witnessed"])
def test_killed_before_or_after_the_witness_heard_no_index_is_reused(scene, step):
    elsewhere = key_witness(scene)
    path = scene.folder / "keys/release"
    lms_key.load(path, elsewhere=elsewhere).sign(b"before")
    command = [sys.executable, "-c", KILL, path, step, scene.trust.fleet_id.hex()]
    done = subprocess.run([*command, elsewhere.thumbprint.hex()], cwd=ROOT, capture_output=True)
    assert done.returncode == -signal.SIGKILL and done.stdout == b""
    index = lms.index_of(lms_key.load(path, elsewhere=elsewhere).sign(b"after"))
    assert index == (1 if step == "written" else 2)
    assert scene.witness.next_index(elsewhere.thumbprint) == index + 1


KILL_LOG = """
import os, signal, sys
from pathlib import Path
from host_tools.pki import files
from host_tools.signing import keys, log, trust
count = [0]
def cut(call):
    def inner(*arguments):
        if count[0] == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        count[0] += 1
        return call(*arguments)
    return inner
os.fsync, os.replace = cut(os.fsync), cut(os.replace)
folder = Path(sys.argv[1])
document = trust.parse((folder / "document").read_bytes())
signer = keys.load_signer(folder / "keys/log-anna")
log.Log(folder / "transparency").append((folder / "new.suit").read_bytes(), document, [signer])
"""


def test_killed_at_every_write_the_log_goes_on(scene):
    """Before each sync and each rename of an append: the next append makes it whole."""
    scene.log = log.Log(scene.folder / "transparency")
    scene.append()
    (scene.folder / "document").write_bytes(trust.encode_payload(scene.trust))
    steps = 0
    while True:
        envelope = scene.envelope(scene.signer("approver"))
        (scene.folder / "new.suit").write_bytes(envelope)
        command = [sys.executable, "-c", KILL_LOG, str(scene.folder), str(steps)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True)
        entries, head = scene.log.checked()
        assert head.size <= len(entries) <= head.size + 1
        index = scene.append(envelope)
        assert scene.log.head().size == len(scene.log.entries()) == index + 1
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        steps += 1
    assert steps >= 5  # entry, its folder; head written, renamed, its folder
    digests = [entry.digest for entry in log.parse_all(scene.log.entries())]
    assert len(set(digests)) == len(digests)


def test_a_torn_entry_is_cut_off(scene):
    scene.log = log.Log(scene.folder / "transparency")
    scene.append()
    with (scene.log.folder / "entries").open("ab") as file:
        file.write(b"\x00\x50torn")
    assert scene.append() == 1
    assert len(log.parse_all(scene.log.entries())) == 2
    assert sha256(b"").digest() != scene.log.head().root


def test_log_files_are_public(scene):
    scene.append()
    assert files.read(scene.log.folder / "head", "head")
    assert (scene.log.folder / "entries").stat().st_mode & 0o044 == 0o044
