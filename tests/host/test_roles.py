"""The role table is that of SPEC 4, on the host and on the device."""

import pytest
from uward.trust import anchors

from host_tools.errors import Refused, UsageError
from host_tools.signing import cose, keys, roles

SPEC = [
    "root",
    "release",
    "approver",
    "operator",
    "admin",
    "time",
    "collector",
    "log",
    "policy",
    "breakglass",
]


def test_numbers_are_those_of_the_specification_and_of_the_device():
    assert [role.name for role in roles.ROLES] == SPEC
    assert [role.number for role in roles.ROLES] == list(range(10))
    assert {name: getattr(anchors, name.upper()) for name in SPEC} == {
        role.name: role.number for role in roles.ROLES
    }


def test_algorithms():
    assert roles.ROOT.algorithms[0] == roles.RELEASE.algorithms[0] == cose.HSS_LMS == -46
    assert roles.APPROVER.algorithms[0] == cose.ESP256 == -9
    assert roles.COLLECTOR.algorithms == (cose.ECDH_SS_HKDF_256,) == (-27,)


def test_unknown_role():
    with pytest.raises(UsageError, match="no role 'boss'; there are root, release"):
        roles.role("boss")
    assert roles.role("time").number == 5


def test_one_key_one_use(tmp_path):
    keys.create_ecdh(tmp_path / "collector")
    keys.create_esp256(tmp_path / "time")
    with pytest.raises(Refused, match="is for ECDH-SS"):
        keys.load_signer(tmp_path / "collector")
    with pytest.raises(Refused, match="is for ESP256"):
        keys.load_ecdh(tmp_path / "time")
    assert keys.load_ecdh(tmp_path / "collector").key_size == 256


def test_esp256_files(tmp_path):
    path = tmp_path / "time"
    public = keys.create_esp256(path, passphrase=b"secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    with pytest.raises(Refused, match="exists and is not overwritten"):
        keys.create_esp256(path)
    with pytest.raises(Refused, match="is protected by a passphrase"):
        keys.load_signer(path)
    with pytest.raises(Refused, match="passphrase is wrong"):
        keys.load_signer(path, b"other")
    signer = keys.load_signer(path, b"secret")
    assert signer.public == public
    signed = cose.sign1(b"payload", signer, roles.TIME_DOMAIN)
    assert cose.verify1(signed, public, roles.TIME_DOMAIN) == b"payload"
    with pytest.raises(Refused, match="does not verify"):
        cose.verify1(signed, public, roles.ENROL_DOMAIN)
    keys.create_esp256(path, force=True)
    with pytest.raises(Refused, match="has no passphrase"):
        keys.load_signer(path, b"secret")


def test_group_kek(tmp_path):
    kek = keys.create_kek(tmp_path / "kek")
    assert (len(kek.kid), len(kek.key)) == (8, 32)
    assert keys.load_kek(tmp_path / "kek") == kek
    (tmp_path / "bad").write_text('{"kid": "00", "key": "00"}')
    with pytest.raises(Refused, match="expected a key of 32 bytes, got 1"):
        keys.load_kek(tmp_path / "bad")
    (tmp_path / "bad").write_text("{}")
    with pytest.raises(Refused, match="expected kid and key in hex"):
        keys.load_kek(tmp_path / "bad")
