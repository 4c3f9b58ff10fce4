"""Keys in a PKCS#11 token: found by URI, signing there, and refused by name (SoftHSM2)."""

import datetime
import subprocess
import sys
from pathlib import Path

import pytest
import softhsm
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from uward.codec import cosekey
from uward.crypto import p256
from uward.crypto.hash import sha256

from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.signing import cose, hsm, hsm_uri, keys

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """Environment of two tokens, `uward` and `other`; the module reads it once a process."""
    folder = tmp_path_factory.mktemp("softhsm")
    softhsm.make_token(folder, "other")
    return softhsm.make_token(folder)


@pytest.fixture
def uri(token, monkeypatch, request):
    """URI of a key of this test's own; the PIN is in the environment."""
    for name in ("SOFTHSM2_CONF", "UWARD_PKCS11_MODULE"):
        monkeypatch.setenv(name, token[name])
    monkeypatch.setenv("UWARD_PKCS11_PIN", softhsm.PIN)
    return f"pkcs11:token=uward;object={request.node.name}"


def test_a_key_is_made_found_and_signs(uri):
    made = hsm.generate(uri)
    found = hsm.open(uri)
    assert found.public == made.public and found.public.alg == cose.ESP256
    signature = found.sign(b"message")
    assert len(signature) == 64
    found.public.verify(b"message", signature)
    key = cosekey.parse(found.public.encoded)
    p256.verify(key.public, sha256(b"message"), signature)  # as devices do
    assert not found.public.accepts(b"massage", signature)


def test_a_key_never_leaves_the_token(uri):
    pkcs11 = pytest.importorskip("pkcs11")
    key = hsm.generate(uri)
    with hsm._session(key.uri, key.pin) as session:
        private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=key.uri.label)
        assert private[pkcs11.Attribute.EXTRACTABLE] is False
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            private[pkcs11.Attribute.VALUE]


def test_a_second_key_of_one_name_is_refused(uri):
    first = hsm.generate(uri)
    with pytest.raises(Refused, match=r"there is a key .* already"):
        hsm.generate(uri)
    assert hsm.open(uri).public == first.public
    with pytest.raises(UsageError, match="a new key needs a name"):
        hsm.generate("pkcs11:token=uward;id=%01")


def test_x509_is_signed_in_the_token(uri):
    private = hsm.private_key(hsm.generate(uri))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Token CA")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    builder.sign(private, hashes.SHA256()).verify_directly_issued_by(
        builder.sign(private, hashes.SHA256())
    )
    with pytest.raises(Refused, match="expected ECDSA with SHA-256"):
        private.sign(b"message", ec.ECDSA(hashes.SHA384()))
    for take in (
        private.private_numbers,
        lambda: private.exchange(ec.ECDH(), private.public_key()),
        lambda: private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    ):
        with pytest.raises(Refused, match="the key in token"):
            take()


def test_a_reference_stands_where_a_key_file_would(uri, tmp_path):
    path = tmp_path / "approver"
    public = keys.create_in_token(path, uri, generate=True)
    assert keys.load_public(keys.public_path(path)) == public
    signer = keys.load_signer(path)
    public.verify(b"message", signer.sign(b"message"))
    text = path.read_text()
    assert softhsm.PIN not in text and "PRIVATE" not in text
    with pytest.raises(Refused, match="exists and is not overwritten"):
        keys.create_in_token(path, uri)

    keys.create_in_token(tmp_path / "other", uri + "2", generate=True)
    path.write_text(text.replace(uri, uri + "2"))
    with pytest.raises(Refused, match=r"holds another key than approver\.pub says"):
        keys.load_signer(path)
    path.write_text(hsm.FORMAT + "\n" + uri + "\nmore\n")
    with pytest.raises(Refused, match="and one PKCS#11 URI"):
        keys.load_signer(path)


def test_where_the_pin_comes_from(uri, tmp_path, monkeypatch):
    hsm.generate(uri)
    file = tmp_path / "pin"
    file.write_text(softhsm.PIN + "\nsecond line\n")
    monkeypatch.setenv("UWARD_PKCS11_PIN", "wrong, but not asked")
    hsm.open(f"{uri}?pin-source=file:{file}")
    monkeypatch.delenv("UWARD_PKCS11_PIN")
    asked = []
    key = hsm.open(uri, lambda prompt: asked.append(prompt) or softhsm.PIN)
    assert asked == ["PIN of token uward: "]
    assert softhsm.PIN not in repr(key)
    with pytest.raises(Refused, match="no PIN") as caught:
        hsm.open(uri, lambda prompt: None)
    assert "UWARD_PKCS11_PIN" in caught.value.hint


def test_wrong_pin_absent_token_absent_key(uri, monkeypatch):
    with pytest.raises(Refused, match="no key for"):
        hsm.open(uri)
    with pytest.raises(DeviceError, match="no token for"):
        hsm.open(uri.replace("token=uward", "token=gone"))
    with pytest.raises(Refused, match="no key for"):
        hsm.open(uri.replace("token=uward", "token=other"))
    monkeypatch.setenv("UWARD_PKCS11_PIN", "99999999")
    with pytest.raises(Refused, match="the PIN is wrong") as caught:
        hsm.open(uri)
    assert "99999999" not in str(caught.value) + caught.value.hint


def test_another_kind_of_key_is_refused(uri):
    pkcs11 = pytest.importorskip("pkcs11")
    with hsm._session(hsm.parse(uri), softhsm.PIN, write=True) as session:
        session.generate_keypair(pkcs11.KeyType.RSA, 2048, label=hsm.parse(uri).label, store=True)
    with pytest.raises(Refused, match="expected a P-256 key"):
        hsm.open(uri)


def test_what_is_no_module(uri):
    with pytest.raises(DeviceError, match="is no PKCS#11 module"):
        hsm.open(uri + "?module-path=/etc/hostname")


def test_a_signature_by_another_key_is_not_given_out(uri):
    """A token that was swapped between open and sign."""
    key, other = hsm.generate(uri), hsm.generate(uri + "2")
    swapped = hsm.TokenKey(other.uri, key.public, key.pin)
    with pytest.raises(Refused, match="does not verify"):
        swapped.sign(b"message")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("approver", "expected a URI such as"),
        ("pkcs11:token=a;object=b?pin-value=1234", "seen by everybody"),
        ("pkcs11:token=a;object=b;slot-id=1", "got 'slot-id'"),
        ("pkcs11:token=a;token=b;object=c", "got 'token'"),
        ("pkcs11:token=a;object", "got 'object'"),
        ("pkcs11:object=b", "expected `token` or `serial`"),
        ("pkcs11:token=a", "and `object` or `id`"),
        ("pkcs11:token=a;object=b?pin-source=/x", "expected pin-source=file:PATH"),
    ],
)
def test_uris_that_are_refused(text, part, monkeypatch):
    monkeypatch.setenv("UWARD_PKCS11_MODULE", "/x.so")
    with pytest.raises(UsageError, match=part) as caught:
        hsm_uri.parse(text)
    assert "1234" not in str(caught.value)


def test_uri_parts(monkeypatch):
    monkeypatch.delenv("UWARD_PKCS11_MODULE", raising=False)
    with pytest.raises(UsageError, match="no PKCS#11 module named"):
        hsm_uri.parse("pkcs11:token=a;object=b")
    text = "pkcs11:token=My%20token;id=%01%ff;type=private?module-path=/x.so&pin-source=file:/p"
    found = hsm_uri.parse(text)
    assert (found.token, found.id, found.label) == ("My token", b"\x01\xff", None)
    assert (found.module, found.pin_source) == ("/x.so", Path("/p"))


def test_without_the_library_the_hint_says_what_to_install():
    code = (
        "import sys; sys.modules['pkcs11'] = None\n"
        "from host_tools.signing import hsm\n"
        "from host_tools.errors import Refused\n"
        "try: hsm.open('pkcs11:token=a;object=b?module-path=/x.so', lambda prompt: '1')\n"
        "except Refused as error: print(error, error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "python-pkcs11 is not installed pip install 'uward[hsm]'" in done.stdout


def test_a_role_is_given_a_token_by_the_command_line(uri, tmp_path):
    (tmp_path / "uward.toml").write_text(
        template_of({"approver": ["anna"], "release": ["release"]})
    )
    run = [sys.executable, "-m", "host_tools.cli", "keys", "token", "--fleet", str(tmp_path)]
    done = subprocess.run([*run, "approver:anna", uri, "--generate"], cwd=ROOT, **TEXT)
    assert done.returncode == 0, done.stderr
    public = keys.load_public(tmp_path / "keys/approver-anna.pub")
    signer = keys.load_signer(tmp_path / "keys/approver-anna")
    public.verify(b"message", signer.sign(b"message"))
    done = subprocess.run([*run, "collector", uri], cwd=ROOT, **TEXT)
    assert done.returncode == 2 and "role collector takes no ESP256 key" in done.stderr
    done = subprocess.run([*run, "time", uri + "?pin-value=" + softhsm.PIN], cwd=ROOT, **TEXT)
    assert done.returncode == 2 and softhsm.PIN not in done.stderr + done.stdout


TEXT = {"capture_output": True, "text": True}


def template_of(roles):
    text = (
        '[project]\nname = "f"\nvendor = "example.org"\nboard = "unix"\n'
        '[app]\nversion = "1.0.0"\nsequence = 1\ndate = 2026-11-21\n'
        '[broker]\nhost = "127.0.0.1"\nport = 8883\nname = "broker.example.org"\n'
    )
    return text + "".join(f"[roles.{name}]\nholders = {held}\n" for name, held in roles.items())
