"""A boot record that was lost is made again by recovery, from what was sealed beside it (S3).

No slot is owned in it: nothing but recovery runs until a signed release was installed.
"""

from uward.boot import record, store
from uward.errors import BootRefused
from uward.update import documents, witness
from uward.vault import keys


def mend(base=""):
    """-> the new Record, or None when a copy is valid.

    BootRefused, BadMac, TrustError or OSError when the witness, or the trust document that it
    names, is not there: then nothing is made up.
    """
    secret = keys.root(base)
    key = keys.record_key(secret)
    try:
        store.load(key, base)
        return None
    except BootRefused:
        floor, sequence, version, digest, state = witness.read(secret, base)
    documents.read(version, digest, base)
    made = record.Record(max(state, record.LOCKED), version, digest)
    made.floor = floor
    made.sequence = sequence
    store.create(made, key, base)
    return made
