"""What comes down: only what the collector announced makes a device keep a release and reset."""

import asyncio
from types import SimpleNamespace

import pytest
from uward.codec import cbor
from uward.crypto.hash import sha256
from uward.errors import BadMac
from uward.link import mail, session
from uward.vault.chain import Chain

SECRET, CONTEXT, GENERATION = b"s" * 32, b"c" * 16, b"g" * 16
ENVELOPE = b"an envelope, signed or not"


class Outbox:
    acknowledged = 0
    stream = b"t" * 16


class Agent:
    resetting = False

    def __init__(self):
        self.info = {"trial": False, "slot": "a"}
        self.events = []
        self.away = None
        self.chain = Chain()

    def reset_soon(self):
        self.resetting = True

    def refused(self, error):
        self.events.append((type(error).__name__, str(error)))

    def event(self, name, reason=""):
        self.events.append((name, reason))


class Station:
    revocations_stale = True

    def stale(self):
        return self.revocations_stale

    def spare(self):
        pass


class Uplink:
    online = True
    resting = False
    station = Station()

    def __init__(self):
        sealer = session.Sealer("abcdefgh12345678", SECRET, CONTEXT)
        self.session = session.Session(sealer, Outbox(), None)
        self.spared = 0

    def spare(self):
        self.spared += 1


def announced(digest, number=1, secret=SECRET, purpose="man"):
    """As the collector seals it: its own context, a counter as partial IV (SPEC 8)."""
    from uward.codec import cose

    context = CONTEXT + GENERATION
    key, iv = session.derive(secret, context, "down", purpose)
    aad = cbor.encode(["uward.v1", "abcdefgh12345678", "down", purpose])
    headers = {cose.PARTIAL_IV: bytes([number]), cose.KID_CONTEXT: context}
    protected = {cose.ALG: cose.AES_CCM_16_128_128}
    return cose.encrypt0(key, cbor.encode(digest), protected, headers, aad, iv)


@pytest.fixture
def box(monkeypatch):
    agent, kept = Agent(), {}
    made = mail.Mail(agent, Uplink())

    def keep(payload, proof):
        kept["/slot/man.suit"] = payload
        made.proof = proof
        agent.reset_soon()

    monkeypatch.setattr(made, "_keep", keep)

    def take(payload):
        made._try(made._open, "man", payload)
        return kept.get("/slot/man.suit"), agent

    take.made = made
    return take


def test_an_announced_release_is_kept(box):
    word = announced(sha256(ENVELOPE))
    kept, agent = box(cbor.encode([word, ENVELOPE]))
    assert kept == ENVELOPE and agent.resetting and agent.events == []


def test_a_message_is_not_held_while_nothing_comes(box):
    """The last one would lie amid the free heap of a session (S20)."""
    made, payload = box.made, b"for nobody"
    made.put("none", payload)
    work = made.work()

    async def look():
        task = asyncio.create_task(work)
        await asyncio.sleep(0)
        held = list(work.cr_frame.f_locals.values())
        task.cancel()
        return held

    held = asyncio.run(look())
    assert made._agent.events[0][0] == "ProtocolError"
    assert made in held and payload not in held


def test_after_each_message_that_needs_code_the_heap_is_put_together(box, monkeypatch):
    made, taken = box.made, []
    taker = SimpleNamespace(take=lambda agent, uplink, purpose, payload: taken.append(payload))
    monkeypatch.setattr(mail.lazy, "use", lambda name: taker)
    made._hand_on("trust", b"a document")
    assert (taken, made._uplink.spared) == ([b"a document"], 1)


def both(envelope, proof):
    return sha256(sha256(envelope) + sha256(proof))


def test_the_proof_of_the_release_log_is_announced_with_it(box):
    kept, agent = box(cbor.encode([announced(both(ENVELOPE, b"proof")), ENVELOPE, b"proof"]))
    assert kept == ENVELOPE and box.made.proof == [b"proof"] and agent.events == []


@pytest.mark.parametrize(
    "payload, name, says",
    [
        (ENVELOPE, "CodecError", ""),
        (cbor.encode([ENVELOPE]), "ProtocolError", "expected [announcement, envelope, proof]"),
        (cbor.encode([1, ENVELOPE]), "ProtocolError", "expected [announcement, envelope, proof]"),
        (cbor.encode([announced(sha256(b"x")), ENVELOPE]), "ProtocolError", "was announced"),
        (cbor.encode([announced(sha256(ENVELOPE)), ENVELOPE, b"x"]), "ProtocolError", "announced"),
        (cbor.encode([announced(both(ENVELOPE, b"x")), ENVELOPE]), "ProtocolError", "announced"),
        (
            cbor.encode([announced(both(ENVELOPE, b"x")), ENVELOPE, b"y"]),
            "ProtocolError",
            "was announced",
        ),
        (cbor.encode([announced(both(ENVELOPE, b"x"), 1), ENVELOPE, 1]), "ProtocolError", "proof"),
        (cbor.encode([announced(sha256(ENVELOPE), 1, b"o" * 32), ENVELOPE]), "BadMac", ""),
        (cbor.encode([announced(sha256(ENVELOPE), 1, SECRET, "share"), ENVELOPE]), "BadMac", ""),
    ],
)
def test_what_the_collector_did_not_announce_is_not_kept(box, payload, name, says):
    kept, agent = box(payload)
    assert kept is None and not agent.resetting
    assert agent.events[0][0] == name and says in agent.events[0][1]


class Updater:
    gone = None

    def withdraw(self, payload):
        self.gone = payload


@pytest.mark.parametrize("secret, gone", [(SECRET, b"payload1"), (b"o" * 32, None)])
def test_only_the_collector_withdraws_a_release(box, secret, gone):
    box.made.updater = Updater()
    kept, agent = box(cbor.encode([announced(b"payload1", 1, secret), b""]))
    assert box.made.updater.gone == gone
    assert kept is None and not agent.resetting
    assert [name for name, _ in agent.events] == ([] if gone else ["BadMac"])


def test_a_withdrawal_without_a_download_changes_nothing(box):
    kept, agent = box(cbor.encode([announced(b"payload1"), b""]))
    assert kept is None and not agent.resetting and agent.events == []


def test_trust_documents_are_judged_at_once_when_the_collector_says_so(box):
    document = b"a trust document, signed or not"
    kept, agent = box(cbor.encode([announced(sha256(document)), b""]))
    assert kept is None and not agent.resetting  # none was kept
    agent.info["kept"] = [sha256(document)]
    box(cbor.encode([announced(sha256(b"another"), 2), b""]))
    assert not agent.resetting
    kept, agent = box(cbor.encode([announced(sha256(document), 3), b""]))
    assert kept is None and agent.resetting and agent.events == []


def test_an_announcement_counts_once(box):
    word = announced(sha256(b"x"))
    box(cbor.encode([word, ENVELOPE]))
    kept, agent = box(cbor.encode([word, b"x"]))
    assert kept is None and not agent.resetting and len(agent.events) == 1


def test_commands_are_closed_while_revocations_are_not_known(monkeypatch):
    """T02: sensing goes on, and so does what mends it; nobody is obeyed."""
    taken = []

    class Taker:
        @staticmethod
        def take(agent, uplink, purpose, payload):
            taken.append(purpose)

    monkeypatch.setattr(mail, "_TAKERS", {"cmd": "guard.command", "crl": "link.inbox"})
    monkeypatch.setattr(mail.lazy, "use", lambda name: Taker)
    agent, uplink = Agent(), Uplink()
    uplink.station = Station()
    box = mail.Mail(agent, uplink)
    for purpose in ("cmd", "crl"):
        box._try(box._open, purpose, b"")
    assert taken == ["crl"]
    assert agent.events == [("TrustError", "cmd: closed until a fresh revocation list comes")]
    uplink.station.revocations_stale = False
    box._try(box._open, "cmd", b"")
    assert taken == ["crl", "cmd"]


@pytest.mark.parametrize(("resting", "pause"), [(False, 10), (True, 500)])
def test_between_two_attempts_to_connect_it_looks_seldom(monkeypatch, resting, pause):
    """A look costs a board a millisecond: a hundred a second were a tenth of its time offline."""
    uplink, slept = Uplink(), []
    uplink.resting = resting

    async def sleep_ms(ms):
        slept.append(ms)
        raise asyncio.CancelledError

    monkeypatch.setattr(mail.port, "sleep_ms", sleep_ms)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(mail.Mail(Agent(), uplink).work())
    assert slept == [pause]


class Log:
    """Stands for `link.audit`, which needs a board's keys."""

    def __init__(self, fails=None):
        self.begun = 0
        self.fails = fails

    async def begin(self, agent):
        if self.fails:
            raise self.fails
        self.begun += 1
        agent.chain.begin(bytes(64), bytes(32))


def looked(monkeypatch, agent, log, looks=5):
    """The mail task after a session has settled, for some looks. -> its Mail."""
    real = mail.lazy.use
    monkeypatch.setattr(mail.lazy, "use", lambda name: log if name == "link.audit" else real(name))
    box = mail.Mail(agent, Uplink())

    async def sleep_ms(ms):
        nonlocal looks
        looks -= 1
        if not looks:
            raise asyncio.CancelledError

    monkeypatch.setattr(mail.port, "sleep_ms", sleep_ms)
    box.settled()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(box.work())
    return box


def test_the_log_of_a_boot_begins_once(monkeypatch):
    agent, log = Agent(), Log()
    box = looked(monkeypatch, agent, log)
    assert (log.begun, agent.chain.count, agent.events) == (1, 1, [])
    box.settled()
    assert not box._unchained  # the next session goes on with it


@pytest.mark.parametrize("changes", [{"slot": "r"}, {"away": object()}])
def test_it_does_not_in_recovery_nor_while_flash_is_emptied(monkeypatch, changes):
    agent, log = Agent(), Log()
    agent.info["slot"] = changes.get("slot", "a")
    agent.away = changes.get("away")
    looked(monkeypatch, agent, log)
    assert (log.begun, agent.chain.count) == (0, 0)


@pytest.mark.parametrize("error", [MemoryError("no heap"), BadMac("/id/peer"), OSError(5)])
def test_a_log_that_cannot_begin_is_told_and_tried_in_the_next_session(monkeypatch, error):
    agent = Agent()
    box = looked(monkeypatch, agent, Log(error))
    assert agent.events == [("log.unbegun", repr(error))]
    assert agent.chain.count == 0
    box.settled()
    assert box._unchained


def test_a_connection_that_ends_before_takes_it_back(monkeypatch):
    agent = Agent()
    box = mail.Mail(agent, Uplink())
    box.settled()
    box.clear()
    assert not box._unchained
