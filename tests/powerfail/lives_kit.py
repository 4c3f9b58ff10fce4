"""What `device_lives` needs of the host: a board's files, releases and trust documents."""

import cbor2
from uward.vault import keys as vault_keys
from uward.vault import sealed

from host_tools.signing import trust
from tests.device import boot_kit as kit

PAIRING = (7).to_bytes(32, "big")
PAD = 14_000  # bytes: with its modules an image has 6 blocks, so that one flush comes in between


def lay(folder, fleet):
    """Files of a board in `folder`/board (`+` for `/`), and beside them what will be offered."""
    first = fleet.document()
    image = kit.image(pad=PAD)
    board = kit.enrolled(kit.factory(fleet, image, kit.image(version="rescue")), fleet)
    own = {1: kit.DEVICE, 2: PAIRING, 3: PAIRING, 4: b"", 5: b""}
    net = {1: "ward", 2: "secret", 3: "h", 4: 8883, 5: "b", 6: {}}
    for path, value in (("dev", own), ("net", net), ("clock", {1: kit.NOW, 2: kit.NOW})):
        (folder / "id").mkdir(exist_ok=True)
        sealed.write(kit.ROOT_SECRET, "/id/" + path, cbor2.dumps(value), str(folder))
        board["/id/" + path] = (folder / "id" / path).read_bytes()
    (folder / "board").mkdir()
    for path, data in board.items():
        (folder / "board" / path.replace("/", "+")).write_bytes(data)
    expired = fleet.document(2, trust.digest(first), issued=kit.NOW - 900, expires=kit.NOW - 5)
    revoking = fleet.document(
        3,
        trust.digest(expired),
        revoked=(fleet.public["release"].thumbprint,),
        roles={1: fleet.held(1, "release", "release2")},
    )
    for document in (expired, revoking):
        (folder / ("trust-%d" % document.version)).write_bytes(fleet.signed(document))
    new = kit.image(version="2", pad=PAD)
    for name, who in (("second", "release"), ("by-new-key", "release2")):
        envelope, payload = fleet.release(new, 2, 2, who=(who, "approver"))
        (folder / (name + ".suit")).write_bytes(envelope)
        (folder / (name + ".img")).write_bytes(payload)
    return vault_keys.record_key(kit.ROOT_SECRET)
