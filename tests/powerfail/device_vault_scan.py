"""The raw flash after long use of all three vaults, scanned for what they were given."""

import leaks
from device_vault_limits import AT, BOARD, KEY, Memory, mounted
from uward.crypto import aead
from uward.vault.audit import Audit
from uward.vault.queue import Queue
from uward.vault.store import Store

SECRETS = {
    "reading": b"SpO2 97 canary of a patient",
    "wifi": b"correct horse battery staple",
    "private key": bytes((i * 91 + 3) & 0xFF for i in range(32)),
    "token": b"console-token-0123456789abcdef",
    "name": b"a name that nobody may read",
    "vault key": KEY,
}


def scanned(rounds):
    """-> [secrets in the raw flash, how many are found once a file holds each in some encoding,
    how many there are]"""
    flash = Memory(BOARD)
    return mounted(flash, _scanned, flash, rounds)


def _scanned(flash, rounds):
    starts = {}

    def wrap(start):
        starts["start key %d" % len(starts)] = start
        return aead.seal(KEY, bytes(13), start)

    for _ in range(3):
        store = Store(AT + "/s", KEY, create=True)
        queue = Queue(AT + "/q", KEY, create=True, capacity=40_000)
        log = Audit(AT + "/a", KEY, wrap, create=True, capacity=40_000)
        for turn in range(rounds):
            _use(store, queue, log, turn)
            if turn % 60 == 59:
                log.witness(log.count, log.head)
    for name, _ in list(store.items()):
        store.delete(name)
    secrets = dict(SECRETS)
    secrets.update(starts)
    found = leaks.leaked(flash.data, secrets)
    with open(AT + "/open", "wb") as f:
        for name in secrets:
            f.write(leaks.encodings(secrets[name])[-1])
    return [found, len(leaks.leaked(flash.data, secrets)), len(secrets)]


def _use(store, queue, log, turn):
    name = SECRETS["name"].decode()
    store.update({name: SECRETS["wifi"], "k%d" % (turn % 9): SECRETS["private key"]})
    queue.append("tele", turn, SECRETS["reading"] * 3, turn % 20 == 0)
    log.append([SECRETS["reading"], SECRETS["token"]])
    if turn % 8 == 7:
        for entry in queue.batch(8):
            if entry.sealed is None:
                queue.seal(entry, aead.seal(KEY, turn.to_bytes(13, "big"), entry.body))
        queue.acknowledge(queue.sent)
