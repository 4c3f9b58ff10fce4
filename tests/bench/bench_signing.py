"""The host's own work: keys, signatures, the release log. On whatever machine this runs."""

import resource
import tempfile
import time
from pathlib import Path

from host_tools.signing import author, keys, lms, lms_key, log_tree
from tests.bench.harness import Row

SIGNATURES = 200
LEAVES = 10_000
KEYGEN_S = 15  # of the default key on two processors


def rows():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "release"
        yield from _lms(path)
        yield from _esp256(Path(folder) / "approver")
    yield from _log()


def _lms(path):
    began, before = time.monotonic(), _children_s()
    keys.create_lms(path, processes=2)
    took, spent = time.monotonic() - began, _children_s() - before
    yield Row("HSS-LMS key, H15: processor time of one of two processes", spent / 2, "s",
              limit=KEYGEN_S)  # fmt: skip
    yield Row("HSS-LMS key, H15: as long as it took here", took, "s", goal=KEYGEN_S)
    key = lms_key.load(path)
    each = _per_second(lambda i: key.sign(b"%d" % i), SIGNATURES)
    yield Row("HSS-LMS signatures, reserved and synced", each, "/s", goal=20, more=True)
    secret, tree = key.secret, key.tree
    pure = _per_second(lambda i: lms.sign(secret, tree, i, b"m"), SIGNATURES)
    yield Row("HSS-LMS signatures, the mathematics alone", pure, "/s", more=True)
    tree_mb = path.with_name("release.tree").stat().st_size / 1e6
    yield Row("cached tree of an H15 key", tree_mb, "MB", limit=1.6)


def _esp256(path):
    keys.create_esp256(path)
    signer = keys.load_signer(path)
    each = _per_second(lambda i: signer.sign(b"%d" % i), 10 * SIGNATURES)
    yield Row("ESP256 signatures", each, "/s", more=True)


def _log():
    leaves = [log_tree.leaf_hash(b"%d" % i) for i in range(LEAVES)]
    began = time.monotonic()
    inside, since = log_tree.inclusion(leaves, 17), log_tree.consistency(leaves, LEAVES // 3)
    took = (time.monotonic() - began) * 1000
    yield Row(f"log proof among {LEAVES} releases", took, "ms", goal=100)
    yield Row("its size on the wire, both paths", 34 * (len(inside) + len(since)), "B", limit=2560)
    manifest, _ = author.build_manifest(bytes(200_000), 2, 1, "1.0", bytes(16), bytes(16))
    yield Row("manifest of a 200 KB image", len(manifest), "B")


def _children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _per_second(work, count):
    began = time.monotonic()
    for i in range(count):
        work(i)
    return count / (time.monotonic() - began)
