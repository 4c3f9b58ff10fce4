"""The release log on the device (T15): proofs by RFC 9162, each refusal by name, the head kept."""

import builtins
import os

import cbor2
import pytest
from uward.trust import suit

from host_tools.signing import cose, cosign, keys, log, log_entry, log_tree
from tests.device import boot_kit as kit
from tests.device.test_defences import field

LOG = 7
RELEASES = 6


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    made = kit.Fleet(tmp_path_factory.mktemp("fleet"))
    for name in ("log", "log2"):
        made.public[name] = keys.create_esp256(made.folder / name)
    return made


@pytest.fixture(autouse=True)
def own_files():
    """On CPython the scripts move a board's paths: back after each test."""
    names = ("stat", "rename", "remove", "mkdir", "listdir")
    kept = builtins.open, [getattr(os, name) for name in names]
    yield
    builtins.open = kept[0]
    for name, call in zip(names, kept[1], strict=True):
        setattr(os, name, call)


class Book:
    """A log of releases of a fleet, and heads of every state that it went through."""

    def __init__(self, folder, fleet, releases=RELEASES, label=b"image"):
        self.fleet = fleet
        self.document = fleet.document(roles={LOG: fleet.held(1, "log")})
        self.log = log.Log(folder)
        self.envelopes, self.heads = [], [None]
        for number in range(releases):
            envelope = fleet.release(label + b" %d" % number, sequence=number + 2)[0]
            self.log.append(envelope, self.document, fleet.signers("log"))
            self.envelopes.append(envelope)
            self.heads.append(self.kept(self.log.head()))

    def kept(self, head, *names, digest=b""):
        """What a device keeps of a head, in hex."""
        prints = [self.fleet.public[name].thumbprint for name in names or ("log",)]
        return cose.encode([head.size, head.root, prints, digest]).hex()

    def proof(self, number, since=0):
        return self.log.proof(suit.parse(self.envelopes[number]).digest, since)

    def changed(self, number, since=0, **changes):
        """A proof with another head, entry, index, inside or path."""
        names = ("head", "entry", "index", "inside", "path")
        parts = dict(zip(names, cbor2.loads(self.proof(number, since)), strict=True))
        return cose.encode([{**parts, **changes}[name] for name in names])

    def signed_head(self, *who, **changes):
        head = self.log.head()
        fields = [1, head.fleet_id, head.size, head.root, head.time]
        for place, value in changes.items():
            fields[int(place[1:])] = value
        payload = cose.encode(fields)
        return cosign.sign(log_entry.KIND, payload, self.fleet.signers(*(who or ("log",))))


@pytest.fixture(scope="module")
def book(fleet, tmp_path_factory):
    return Book(tmp_path_factory.mktemp("log"), fleet)


def run(device, book, cases, number=RELEASES - 1):
    """Each case is (proof, last head kept, changes) -> outcomes."""
    envelope, document = book.envelopes[number], book.fleet.signed(book.document)
    rows = [[proof.hex(), last, changes] for proof, last, changes in cases]
    return device("device_log", "judge_all", rows, envelope.hex(), document.hex())


def test_every_release_is_believed_from_every_state_that_was_seen(device, book):
    document = book.fleet.signed(book.document).hex()
    cases, expected = [], []
    for number, envelope in enumerate(book.envelopes):
        for since in range(RELEASES + 1):
            proof = book.proof(number, since).hex()
            cases.append([proof, book.heads[since], {"envelope": envelope.hex()}])
            digest = suit.parse(envelope).digest
            expected.append(book.kept(book.log.head(), digest=digest))
    assert device("device_log", "judge_all", cases, "", document) == expected


def test_every_refusal_has_its_name(device, book, fleet, tmp_path):
    last, at = RELEASES - 1, RELEASES - 3
    good = cbor2.loads(book.proof(last, at))
    head, entry, _, inside, path = good
    fields = cbor2.loads(entry)
    two = fleet.document(roles={LOG: fleet.held(2, "log", "log2")})
    flipped = bytes([path[0][0] ^ 1]) + path[0][1:]
    none, fork = "upd.not_logged", "log.fork"
    longer = cose.encode([head, entry, last, inside, [bytes(32)] * 49])
    other = Book(tmp_path / "other", fleet, label=b"other")
    cases = {
        "no proof": (b"", None, {}, none, "log: expected a proof that the release is in the log"),
        "too long": (bytes(2561), None, {}, none, "<= 2560 bytes, got 2561"),
        "no CBOR": (b"\xff\xff", None, {}, none, "cbor"),
        "too few parts": (cose.encode(good[:4]), None, {}, none, "5 members of the proof"),
        "another release": (book.proof(0), None, {}, none, "an entry for "),
        "entry changed": (
            book.changed(last, entry=cose.encode([*fields[:4], fields[4] + 1, fields[5]])),
            None,
            {},
            none,
            "in the tree of 6, got a path elsewhere",
        ),
        "index hidden": (
            book.changed(last, entry=cose.encode([*fields[:5], []])),
            None,
            {},
            none,
            "one-time indices",
        ),
        "entry of another form": (
            book.changed(last, entry=cose.encode([2, *fields[1:]])),
            None,
            {},
            none,
            "an entry for ",
        ),
        "another place": (book.changed(last, index=0), None, {}, none, "path elsewhere"),
        "no number": (book.changed(last, index="5"), None, {}, none, "path elsewhere"),
        "beyond the tree": (book.changed(last, index=6), None, {}, none, "path elsewhere"),
        "path too short": (book.changed(last, inside=inside[:-1]), None, {}, none, "elsewhere"),
        "path no list": (book.changed(last, inside=b""), None, {}, none, "hashes of a path"),
        "path of other bytes": (book.changed(last, inside=[b""]), None, {}, none, "32 bytes"),
        "path without end": (longer, book.heads[at], {}, none, "<= 48 hashes"),
        "unsigned head": (
            book.changed(last, head=book.signed_head("outsider")),
            None,
            {},
            none,
            "1 of role log on the head, got 0",
        ),
        "one of two": (
            book.proof(last),
            None,
            {"document": fleet.signed(two).hex()},
            none,
            "2 of role log on the head, got 1",
        ),
        "another fleet's": (
            book.changed(last, head=book.signed_head(_1=bytes(16))),
            None,
            {},
            none,
            "of this fleet",
        ),
        "head of another form": (
            book.changed(last, head=book.signed_head(_0=2)),
            None,
            {},
            none,
            "of this fleet",
        ),
        "an empty tree": (book.changed(last, head=book.signed_head(_2=0)), None, {}, none, "1.."),
        "another root": (
            book.changed(last, head=book.signed_head(_3=bytes(32))),
            None,
            {},
            none,
            "path elsewhere",
        ),
        "log cut short": (
            book.proof(last),
            book.kept(log_entry.Head(b"", 7, bytes(32), 0)),
            {},
            fork,
            "a log of >= 7 entries, got 6",
        ),
        "same size, other tree": (
            book.proof(last, RELEASES),
            other.heads[-1],
            {},
            fork,
            "continues the 6 entries seen",
        ),
        "another past": (book.proof(last, at), other.heads[at], {}, fork, "the 3 entries seen"),
        "no path": (book.changed(last, at, path=[]), book.heads[at], {}, fork, "the 3 entries"),
        "path changed": (
            book.changed(last, at, path=[flipped, *path[1:]]),
            book.heads[at],
            {},
            fork,
            "the 3 entries seen",
        ),
        "a path too many": (
            book.changed(last, RELEASES, path=[bytes(32)]),
            book.heads[-1],
            {},
            fork,
            "the 6 entries seen",
        ),
    }
    found = run(device, book, [case[:3] for case in cases.values()])
    for (name, case), outcome in zip(cases.items(), found, strict=True):
        assert outcome[0] == case[3], (name, outcome)
        assert case[4] in outcome[1], (name, outcome)


def test_a_signature_for_something_else_is_none(device, book, fleet):
    """The domain string: a key of role log signs heads, and only as heads (S7)."""
    payload, _ = cosign.split(log_entry.KIND, book.log.signed_head())
    other = cosign.Kind("other", b"uward.trust.v1")
    proof = book.changed(RELEASES - 1, head=cosign.sign(other, payload, fleet.signers("log")))
    ((event, reason),) = run(device, book, [(proof, None, {})])
    assert (event, "got 0" in reason) == ("upd.not_logged", True)


def test_a_root_that_replaces_every_log_key_begins_a_new_log(device, book, fleet, tmp_path):
    other = Book(tmp_path / "other", fleet, label=b"other")
    seen = other.heads[-1]
    kept = fleet.document(roles={LOG: fleet.held(1, "log2", "log")})
    new = fleet.document(roles={LOG: fleet.held(1, "log2")})
    again = log.Log(book.log.folder)
    payload, _ = cosign.split(log_entry.KIND, again.signed_head())
    head = cosign.sign(log_entry.KIND, payload, fleet.signers("log2"))
    proof = book.changed(RELEASES - 1, head=head)
    found = run(
        device,
        book,
        [
            (proof, seen, {"document": fleet.signed(kept).hex()}),
            (proof, seen, {"document": fleet.signed(new).hex()}),
        ],
    )
    assert found[0][0] == "log.fork"
    digest = suit.parse(book.envelopes[-1]).digest
    assert found[1] == book.kept(again.head(), "log2", digest=digest)


def test_a_past_that_is_proved_for_another_future_is_a_fork(device, book, fleet, tmp_path):
    """The path leads to the head that is kept, but from another head than the one that came."""
    other, at = Book(tmp_path / "other", fleet, label=b"other"), RELEASES - 3
    path = cbor2.loads(book.proof(RELEASES - 1, at))[4]
    proof = other.changed(RELEASES - 1, at, path=path)
    ((event, reason),) = run(device, other, [(proof, book.heads[at], {})])
    assert (event, "the 3 entries seen" in reason) == ("log.fork", True)


def test_a_hidden_signature_does_not_hide_its_index(device, book, fleet):
    """Two release keys sign; the entry tells of one: whoever watches the log must see both."""
    envelope = fleet.release(b"two", sequence=9, who=("release", "release2", "approver"))[0]
    entry = log_entry.entry_for(envelope, 1)
    assert len(entry.used) == 2
    one = log_entry.Entry(entry.digest, 9, entry.class_id, 1, entry.used[:1])
    data = log_entry.encode_entry(one)
    root = log_tree.root([log_tree.leaf_hash(data)])
    head = book.signed_head(_2=1, _3=root)
    proof = cose.encode([head, data, 0, [], []])
    ((event, reason),) = run(device, book, [(proof, None, {"envelope": envelope.hex()})])
    assert (event, "one-time indices" in reason) == ("upd.not_logged", True)


def test_the_head_is_kept_and_a_download_goes_on_without_its_proof(device, book, fleet, tmp_path):
    root = field(tmp_path / "board", fleet)
    document = fleet.signed(book.document).hex()
    without = fleet.signed(fleet.document()).hex()
    envelopes = [envelope.hex() for envelope in book.envelopes]
    first = Book(tmp_path / "first", fleet, 1, b"image")
    other = Book(tmp_path / "other", fleet, label=b"other")
    assert first.envelopes[0] != book.envelopes[0]
    steps = [
        (None, envelopes[0], without),  # nobody holds role log: nothing is asked
        (None, envelopes[0], document),
        (book.proof(1).hex(), envelopes[1], document),
        (None, envelopes[1], document),  # after a reset, in the middle of its download
        (None, envelopes[2], document),
        (other.proof(3, 6).hex(), other.envelopes[3].hex(), document),
        (book.proof(2, 6).hex(), envelopes[2], document),
        (None, envelopes[1], document),  # only the one that is under way
        ((b"\0" * 3000).hex(), envelopes[4], document),
    ]
    *outcomes, left = device("device_logged", "demand", root, steps)
    told = [outcome.partition(": ")[0] for outcome, _ in outcomes]
    none, fork = "upd.not_logged", "log.fork"
    assert told == ["", none, "", "", none, fork, "", none, none]
    assert [size for _, size in outcomes] == [None, None, 6, 6, 6, 6, 6, 6, 6]
    assert "man.log" not in left
