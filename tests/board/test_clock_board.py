"""S10 whole, on the emulated Pico W: a device months behind a renewed broker certificate."""

from pki import BROKER, SERVER, Identity, server_context

from tests.board.world import World


def test_months_behind_a_renewed_certificate(stock, tmp_path):
    world = World(tmp_path)
    woken, first, second, connected, proved = world.live()
    assert woken == ["woken", 0, 0]  # the board's clock began in 2021: the floor is above it
    assert first[0] == "attempt" and first[1] < 60 and first[2] == 0
    start = world.broker.certificate.not_valid_before_utc.timestamp() - world.floor
    assert second == ["attempt", start, 1]
    assert connected[0] == "connected" and connected[2] == 1
    assert proved == ["proved", world.answered, 2, 0, 0]


def test_forged_certificate_does_not_move_the_clock(stock, tmp_path):
    world = World(tmp_path)
    stranger = Identity("Services", ca=True, days=(-400, 3650))
    forged = Identity(BROKER, stranger, usage=[SERVER], san=BROKER, days=(-10, 90))
    world.context = server_context(tmp_path, forged, [stranger])
    *_, refused, restored = world.live()
    assert refused[:2] == ["TlsRefused", "not-pinned"]
    assert restored[0] == "restored" and restored[1] < 60 and restored[2] == 0
    assert world.heard == b""


def test_wrong_answer_ends_unproved_and_restores(stock, tmp_path):
    world = World(tmp_path)
    world.answered = world.floor - 5
    *_, connected, refused, restored = world.live()
    assert connected[2] == 1
    assert refused[0] == "ClockRefused"
    assert restored[1] < 120 and restored[2] == 0


def test_expired_certificate_is_no_reason_to_move_the_clock(stock, tmp_path):
    """Behind the floor there is no tentative time: an old stolen certificate stays refused."""
    days = (-200, -100)
    world = World(tmp_path)
    world.broker = Identity(BROKER, world.ca, usage=[SERVER], san=BROKER, days=days)
    world.context = server_context(tmp_path, world.broker, [world.ca])
    *_, first, refused, restored = world.live()
    assert refused[:2] == ["TlsRefused", "expired"]
    assert first[2] == 0 and restored[1] < 60
    assert world.heard == b""
