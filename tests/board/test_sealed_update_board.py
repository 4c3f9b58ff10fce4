"""An encrypted release on the emulated Pico W (S6): A256KW opens its key, A256CTR its blocks."""

import hashlib

import pytest

from host_tools.image import lfs
from host_tools.signing import content
from tests.board import update_board
from tests.board.plain import assert_only_in_the_slot
from tests.device import boot_kit as kit


def ran(data):
    """Let a board bring its release in. -> its flash then."""
    from host_tools.targets.emulator.board import Board

    board = Board(data, seed=2)
    board.run(emulated_s=update_board.SECONDS, wall_s=400)
    assert board.connections == 0
    return board.flash_bytes()


def payload_of(data):
    return lfs.read(kit.PICO_W, lfs.area(kit.PICO_W, data))["/payload"]


@pytest.mark.timeout(600)
def test_an_encrypted_release_lies_in_clear_in_its_slot_alone(stock, tmp_path):
    before, image = update_board.sealed_flash(tmp_path)
    assert update_board.SECRET[:64] not in payload_of(before)
    after = ran(before)
    record, files = update_board.record(after)
    assert (record.active, record.confirmed, record.floor) == (1, [True, True], 2)
    assert files["/slot/b.img"] == image and update_board.SECRET[:64] in image
    assert record.slots[1][1] == hashlib.sha256(image).digest()[:16]  # the plain digest
    assert_only_in_the_slot(image, before, after)


@pytest.mark.timeout(600)
def test_what_decrypts_to_another_image_is_not_tried(stock, tmp_path, monkeypatch):
    """Each block has its signed hash, the plain digest of the whole is another (S6)."""
    encrypt = content.encrypt

    def other(image, kid, kek):
        payload, info = encrypt(image, kid, kek)
        return payload[:-1] + bytes([payload[-1] ^ 1]), info

    monkeypatch.setattr(content, "encrypt", other)
    record, files = update_board.record(ran(update_board.sealed_flash(tmp_path)[0]))
    assert (record.active, record.owned, record.floor) == (0, [True, False], 1)
    assert "/slot/b.suit" not in files
