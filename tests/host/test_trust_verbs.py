"""`uward trust` and `uward keys new`: the next document, under the old and the new root (S7)."""

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import cli, keyring, project, trustbook, ui
from host_tools.errors import Refused, UsageError
from host_tools.signing import cose, keys, lms_key, trust
from host_tools.verbs import init, trust_view
from host_tools.verbs import keys as keys_verb
from host_tools.verbs import trust as trust_verb

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("ca", "keys", "trust")


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    """A fleet of its own for each test: one-time keys are bound to their files."""
    monkeypatch.setattr(init, "HEIGHTS", (5,))  # 32 signatures are enough, and quickly made
    options = init.Options(vendor="example.org", board="unix", height=5)
    init.do_init(tmp_path / "fleet", options, lambda done, total: None)
    return project.load(tmp_path / "fleet")


def uward(fleet, *args, code=0):
    """Run a verb with --json -> what it printed; its error with another code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        got = cli.run([*map(str, args), "--json", "--fleet", str(fleet.root)])
    ui.use_json(False)
    assert got == code, out.getvalue() + err.getvalue()
    return json.loads(out.getvalue()) if code == 0 else err.getvalue()


def test_renewed_signed_published(fleet):
    before = keyring.current_trust(fleet)
    draft = uward(fleet, "trust", "renew", "--days", "365")
    assert draft["missing"] == ["1 of the old root (root)", "1 of the new root (root)"]
    assert keyring.current_trust(fleet) == before  # nothing has changed yet
    signed = uward(fleet, "trust", "sign")
    assert signed["published"] and signed["signed_by"] == ["root"] and signed["missing"] == []
    after = keyring.current_trust(fleet)
    assert (after.version, after.previous) == (2, trust.digest(before))
    assert after.expires - after.issued == 365 * 24 * 3600
    assert after.roles == before.roles
    assert not (fleet.root / "trust/draft").exists()
    assert "no draft" in uward(fleet, "trust", "sign", code=1)


def test_a_stolen_release_key_is_revoked_and_replaced(fleet):
    old = keyring.public_key(fleet, "release")
    made = uward(fleet, "keys", "new", "release:anna", "--lms-height", "5")
    with pytest.raises(Refused, match="nobody holds role release"):
        trust_verb._edit(fleet, lambda one: trust_edit_revoke(one, old))
    uward(fleet, "trust", "add-key", "release:anna")
    draft = uward(fleet, "trust", "revoke-key", "release:release")
    new = keys.load_public(fleet.root / "keys/release-anna.pub")
    assert new.thumbprint.hex() == made["thumbprint"]
    assert draft["changes"] == [
        f"- release:release {old.kid.hex()}",
        f"+ release:anna {new.kid.hex()}",
        f"! revoked {old.thumbprint.hex()}",
    ]
    uward(fleet, "trust", "sign")
    assert keyring.public_key(fleet, "release") == new  # who signs releases is known at once
    (signer,) = keyring.signers(fleet, "release", None, [])
    assert signer.public == new
    assert [row["holder"] for row in keys_verb.do_status(fleet) if row["role"] == "release"] == [
        "anna"
    ]
    assert "was revoked and does not come back" in uward(
        fleet, "trust", "add-key", "release:bert", "--key", fleet.root / "keys/release.pub", code=1
    )
    shown = uward(fleet, "trust", "show")
    assert shown["revoked"] == [old.thumbprint.hex()]
    assert uward(fleet, "trust", "show", "1")["revoked"] == []


def trust_edit_revoke(document, key):
    from host_tools.signing import trust_edit

    return trust_edit.revoke_key(document, key.thumbprint)


def test_a_root_is_rotated_under_the_old_and_the_new_one(fleet):
    for holder in ("anna", "bert"):
        uward(fleet, "keys", "new", f"root:{holder}", "--esp256")
    lone = uward(fleet, "trust", "rotate-root", "anna", "bert", code=1)
    assert "root needs at least one HSS-LMS key" in lone
    uward(fleet, "keys", "new", "root:next", "--lms-height", "5")
    draft = uward(fleet, "trust", "rotate-root", "next", "anna", "bert", "--threshold", "2")
    assert "~ root threshold 1 -> 2" in draft["changes"]
    old = fleet.root / "keys/root"
    old.rename(fleet.root / "away")
    standing = uward(fleet, "trust", "sign")
    assert standing["missing"] == ["1 of the old root (root)"] and not standing["published"]
    assert keyring.current_trust(fleet).version == 1
    (fleet.root / "away").rename(old)
    lms_key.adopt(old, skip=1)  # it was moved
    assert uward(fleet, "trust", "sign")["published"]
    current = keyring.current_trust(fleet)
    names = [name for name, _ in current.roles[0].keys]
    assert (names, current.roles[0].threshold) == (["next", "anna", "bert"], 2)
    # the old root signs nothing any more
    uward(fleet, "trust", "renew")
    for name in ("next", "anna", "bert"):
        (fleet.root / f"keys/root-{name}").rename(fleet.root / f"away-{name}")
    assert "no root key of this fleet is here" in uward(fleet, "trust", "sign", code=1)


def test_a_holder_on_another_machine(fleet, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    for path in sorted(fleet.folder("keys").glob("root*")):
        shutil.move(path, away / path.name)
    shutil.copy(away / "root.pub", fleet.folder("keys"))
    uward(fleet, "trust", "renew")
    assert "digest-out" in uward(fleet, "trust", "sign", code=1)
    assert "whose signature?" in uward(fleet, "trust", "sign", "--digest-out", "x", code=2)
    said = uward(fleet, "trust", "sign", "--holder", "rot", "--digest-out", "x", code=1)
    assert "expected one root key for 'rot', got 0: root (" in said
    tbs, signature = tmp_path / "tbs", tmp_path / "signature"
    uward(fleet, "trust", "sign", "--holder", "root", "--digest-out", tbs)
    moved = [sys.executable, "-c", MOVED, str(away / "root")]
    subprocess.run(moved, cwd=ROOT, check=True)
    there = [sys.executable, "-m", "host_tools.cli", "keys", "sign", "--json"]
    done = subprocess.run(
        [*there, away / "root", tbs, signature], cwd=ROOT, capture_output=True, text=True
    )
    told = json.loads(done.stdout)
    assert told["signed"] == "uward.trust.v1"
    wrong = tmp_path / "wrong"
    wrong.write_bytes(bytes(1384))
    refused = uward(fleet, "trust", "sign", "--holder", "root", "--signature-in", wrong, code=1)
    assert "does not verify" in refused
    signed = uward(fleet, "trust", "sign", "--holder", told["kid"], "--signature-in", signature)
    assert signed["published"]
    assert keyring.current_trust(fleet).version == 2
    tbs.write_bytes(b"anything")
    done = subprocess.run(
        [*there, away / "root", tbs, tmp_path / "s2"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1 and "what is to be signed: " in done.stderr


MOVED = """
import sys
from pathlib import Path
from host_tools.signing import lms_key
lms_key.adopt(Path(sys.argv[1]), skip=1)
"""


def test_one_root_signature_serves_both_thresholds_and_is_made_once(fleet):
    uward(fleet, "trust", "renew")
    used = next(r["used"] for r in keys_verb.do_status(fleet) if r["role"] == "root")
    uward(fleet, "trust", "sign")
    assert next(r["used"] for r in keys_verb.do_status(fleet) if r["role"] == "root") == used + 1


def test_an_edit_begins_the_signatures_anew(fleet):
    uward(fleet, "keys", "new", "root:anna", "--esp256")
    uward(fleet, "trust", "add-key", "root:anna", "--threshold", "2")
    (fleet.root / "keys/root-anna").rename(fleet.root / "away")
    assert uward(fleet, "trust", "sign")["signed_by"] == ["root"]
    uward(fleet, "trust", "renew", "--days", "100")
    standing = trustbook.standing(fleet)
    assert standing.signed == [] and len(standing.document.roles[0].keys) == 2
    assert standing.document.expires - standing.document.issued == 100 * 24 * 3600
    assert uward(fleet, "trust", "discard") == {"draft": None}
    assert trustbook.standing(fleet) is None


def test_what_no_device_would_take_is_not_drafted(fleet):
    cases = [
        (("add-key", "release:release", "--key", fleet.root / "keys/approver.pub"), 1, "already"),
        (("add-key", "approver:anna", "--key", fleet.root / "keys/time.pub"), 1, "there twice"),
        (("add-key", "time:anna", "--key", fleet.root / "keys/root.pub"), 1, "no HSS-LMS key"),
        (("add-key", "boss:anna"), 2, "no role 'boss'"),
        (("add-key", "time:An na"), 2, "holder 'An na'"),
        (("drop-key", "time:anna"), 1, "role time has no holder 'anna'"),
        (("revoke-key", "time:anna"), 2, "role time has no holder 'anna'"),
        (("revoke-key", "00ff"), 2, "no role '00ff'"),
        (("drop-key", "root"), 1, "nobody holds role root"),
        (("set-threshold", "release", "2"), 1, "threshold of 2 with 1 keys"),
        (("renew", "--days", "0"), 2, "expected 1 to 3650"),
        (("show", "7"), 2, "no trust document 7; there are 1 to 1"),
    ]
    for args, code, part in cases:
        assert part in uward(fleet, "trust", *args, code=code), args
    assert not (fleet.root / "trust/draft").exists()


def test_a_draft_of_another_past_is_refused(fleet):
    uward(fleet, "trust", "renew")
    draft = (fleet.root / "trust/draft").read_bytes()
    uward(fleet, "trust", "sign")
    (fleet.root / "trust/draft").write_bytes(draft)
    assert "does not follow version 2" in uward(fleet, "trust", "sign", code=1)


def test_a_tampered_draft_gets_no_signature_that_counts(fleet):
    """A draft is edited between two holders: the first one's signature is void."""
    uward(fleet, "keys", "new", "root:anna", "--esp256")
    uward(fleet, "trust", "add-key", "root:anna", "--threshold", "2")
    (fleet.root / "keys/root-anna").rename(fleet.root / "away")
    uward(fleet, "trust", "sign")
    path = fleet.root / "trust/draft"
    payload, blocks = trust.split(path.read_bytes())
    other = trust.parse(payload)
    changed = trust.encode_payload(
        trust.TrustDocument(**{**vars(other), "expires": other.expires + 1})
    )
    path.write_bytes(path.read_bytes().replace(payload, changed))
    assert len(trust.split(path.read_bytes())[1]) == len(blocks) == 1
    (fleet.root / "away").rename(fleet.root / "keys/root-anna")
    standing = trustbook.sign(fleet, None)
    assert standing.published  # both signed again, what now stands there
    assert standing.signed == ["root", "anna"]


def test_keys_of_every_kind_and_names_that_are_none(fleet):
    kinds = {"approver:anna": "ESP256", "collector:two": "ECDH-SS+HKDF-256"}
    for role, kind in kinds.items():
        assert uward(fleet, "keys", "new", role)["algorithm"] == kind
    assert "exists and is not overwritten" in uward(fleet, "keys", "new", "approver:anna", code=1)
    uward(fleet, "keys", "new", "approver:anna", "--name", "approver-anna2")
    for name in ("../x", "A", "a.pub"):
        assert "expected" in uward(fleet, "keys", "new", "time", "--name", name, code=2)
    assert "takes no ESP256 key" in uward(fleet, "keys", "new", "collector", "--esp256", code=2)


def test_a_replaced_key_of_the_same_holder_is_found_by_the_document(fleet):
    uward(fleet, "keys", "new", "approver", "--name", "approver-2")
    uward(fleet, "trust", "revoke-key", "approver", code=1)
    uward(fleet, "keys", "new", "approver:bert")
    uward(fleet, "trust", "add-key", "approver:bert")
    uward(fleet, "trust", "revoke-key", "approver")
    uward(fleet, "trust", "add-key", "approver", "--key", fleet.root / "keys/approver-2.pub")
    uward(fleet, "trust", "drop-key", "approver:bert")
    uward(fleet, "trust", "sign")
    assert keyring.key_path(fleet, "approver", "approver").name == "approver-2"
    (signer,) = keyring.signers(fleet, "approver", None, [])
    assert signer.public.alg == cose.ESP256


def test_the_end_of_a_document_and_of_a_key_is_said(fleet, capsys, monkeypatch):
    monkeypatch.setenv("UWARD_FLEET", str(fleet.root))
    assert cli.run(["keys", "status"]) == 0
    assert "trust document" not in capsys.readouterr().err
    uward(fleet, "trust", "renew", "--days", "30")
    uward(fleet, "trust", "sign")
    monkeypatch.setattr(keys_verb, "FEW", 32)
    assert cli.run(["keys", "status"]) == 0
    said = capsys.readouterr().err
    assert re.search(r"trust document 2 ends in (29|30) days; `uward trust renew` makes", said)
    assert "role root: 30 signatures left" in said
    monkeypatch.setattr(trust_verb.time, "time", lambda: 4_000_000_000)
    assert cli.run(["trust", "show"]) == 0
    assert "is over: devices install nothing" in capsys.readouterr().err


def test_the_first_document_is_never_edited(fleet):
    """Version 1 is judged by pins in every board: only its successors change."""
    before = (fleet.root / "trust/1").read_bytes()
    uward(fleet, "trust", "renew")
    uward(fleet, "trust", "sign")
    assert (fleet.root / "trust/1").read_bytes() == before
    with pytest.raises(UsageError):
        trust_view.shown(fleet, 3)
