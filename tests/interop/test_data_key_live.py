"""The collector's half of the data key, with a real agent, broker and attestation; and what a
dump of the board's flash shows (S9, T16, T22)."""

import base64
from functools import partial

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from host_tools import keyring
from host_tools.boards import catalogue
from host_tools.fleet import codec
from host_tools.fleet.shares import Shares
from host_tools.image import lfs
from host_tools.signing import keys
from host_tools.targets.unix import Unix
from host_tools.verbs import provision, stolen, target
from tests.interop import command_round

UNIX = catalogue.load("unix")


def encodings(secret):
    text = secret.decode("latin-1")
    found = [secret, secret[::-1], secret.hex().encode(), secret.hex().upper().encode()]
    found += [text.encode("utf-16-le"), text.encode("utf-16-be")]
    for skip in range(3):
        whole = secret[skip : skip + (len(secret) - skip) // 3 * 3]
        found += [base64.b64encode(whole), base64.urlsafe_b64encode(whole)]
    return found


def shown(dump, secrets):
    return [name for name, one in secrets.items() if any(e in dump for e in encodings(one))]


def unsealed(files, path):
    """What whoever has the dump opens: SPEC 6, key source `flash`."""
    data = files[path]
    info = b"uward board file " + path.encode()
    key = HKDF(SHA256(), 32, data[1:17], info).derive(files["/id/root"])
    return codec.decode(AESCCM(key, 16).decrypt(bytes(13), data[17:], path.encode()))


@pytest.mark.timeout(900)
def test_a_board_that_attests_is_unlocked_and_a_stolen_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(
        command_round.provision,
        "do_provision",
        partial(provision.do_provision, data_key="network"),
    )
    found, device = command_round.fleet(tmp_path, "unix", "unix")
    share = Shares(found.folder("shares")).get(device)
    assert share is not None
    with command_round.serving(found, "embedded") as services:
        board = Unix(target.folder(found, "unix", None))
        board.start()
        try:
            command_round.heard(services, "data.unlocked")
            dump = (target.folder(found, "unix", None) / "flash.bin").read_bytes()

            since = len(services.notices)
            stolen.do_stolen(found, device)
            board.reset()
            command_round.heard(services, f"broker.refused {device}", since)
        finally:
            board.stop()
        later = [notice.text for notice in services.notices[since:]]
        assert "data key given" not in later
    files = lfs.read(UNIX, dump)
    kek = keys.load_kek(keyring.kek_path(found))
    own = unsealed(files, "/id/dev")
    tier = unsealed(files, "/id/data")
    secrets = {"KEK": kek.key, "identity": own[2], "pairing": own[3], "share": share}
    secrets |= {"half": tier[5], "pair": unsealed(files, "/id/peer")[7]}
    assert shown(dump, secrets) == []
    # said plainly: with key source `flash` the root lies there, and opens the board tier
    assert shown(dump, {"root": files["/id/root"]}) == ["root"]
    # the data tier needs the share as well: the board's half alone unwraps nothing
    assert tier[1] == 2 and len(tier[3]) == 40
