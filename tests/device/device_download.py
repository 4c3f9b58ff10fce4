"""A download under loss, disorder and corruption, run on CPython and MicroPython."""

from uward import limits
from uward.codec import cbor
from uward.errors import CodecError, UpdateRefused, UwardError
from uward.update.download import Download, Window, _part, block

ID = b"payload1"


class Writer:
    """Stands in for a slot: checks block content as the signed hashes would."""

    first = 0
    busy = False
    window = limits.DOWNLOAD_WINDOW

    def __init__(self, blocks, start=0):
        self.blocks = blocks
        self.next = start
        self.written = []

    def write(self, index, content):
        if index != self.next:
            raise ValueError("out of order")
        if bytes(content) != b"block %d" % index:
            raise UpdateRefused("upd.bad_digest", "block %d: expected another hash" % index)
        self.written.append(index)
        self.next += 1


class Random:
    """A generator that is the same on every Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 8) % n


def transfer(blocks, start, seed, loss, swap, corrupt, limit):
    """A broker that loses, swaps and corrupts one block in `loss`, `swap`, `corrupt` (0: never).

    -> [blocks written, requests, ms taken, refusal]
    """
    rng = Random(seed)
    writer = Writer(blocks, start)
    run = Download(writer, ID)
    now = requests = 0
    wire = []
    try:
        while not run.window.done and now < limit:
            body = run.request(now)
            if body is not None:
                requests += 1
                if body[0] != "get" or body[1] != ID or not 0 < body[3] <= limits.DOWNLOAD_WINDOW:
                    raise ValueError("bad request")
                for index in range(body[2], body[2] + body[3]):
                    if not (loss and rng.below(loss) == 0):
                        wire.append(index)
                if swap and len(wire) > 1 and rng.below(swap) == 0:
                    wire[0], wire[1] = wire[1], wire[0]
            elif wire:
                index = wire.pop(0)
                content = b"block %d" % index
                if corrupt and rng.below(corrupt) == 0:
                    content = b"blocK %d" % index
                run.feed(cbor.encode([ID, index, content]), now)
                now += 10
            else:
                now += 500
    except UwardError as e:
        return [writer.written, requests, now, "%s: %s" % (e.event, e)]
    return [writer.written, requests, now, None]


def waits(blocks, share=0):
    """Nobody answers: the times of the requests, in ms. share: of what may be left out of them."""
    window = Window(blocks, shorter=lambda ms: ms * share)
    out = []
    for now in range(0, 700_000, 100):
        wanted = window.ask(now)
        if wanted:
            out.append([now, wanted[0], wanted[1]])
    return out


def parts(ms, count):
    return [_part(ms) for _ in range(count)]


def steps(blocks, plan, size=4):
    """plan: list of "ask" and block numbers that arrive -> what was asked, what was expected."""
    window = Window(blocks, size=size)
    out = []
    for item in plan:
        if item == "ask":
            wanted = window.ask(0)
            out.append(None if wanted is None else list(wanted))
        elif item == "again":
            window.again()
        else:
            out.append(window.expects(item))
            if out[-1]:
                window.took(0)
    return out


def parses(data):
    try:
        got = block(bytes.fromhex(data), ID)
    except UwardError as e:
        return "%s: %s" % (type(e).__name__, e)
    return None if got is None else [got[0], bytes(got[1]).hex()]


def _decoded(data):
    """What `block` says, by the decoder alone: -> [index, bytes], None, or "refused"."""
    try:
        value = cbor.decode(data)
    except UwardError:
        return "refused"
    kinds = [type(part) for part in value] if isinstance(value, list) else []
    if kinds != [bytes, int, bytes] or len(value[0]) != 8 or value[1] < 0:
        return "refused"
    return [value[1], value[2]] if value[0] == ID else None


def disagreements(seed, rounds):
    """Blocks with bytes changed, cut and added: where `block` and the decoder are of two minds."""
    rng, out = Random(seed), []
    for _ in range(rounds):
        index = rng.below(1 << (1, 5, 8, 16, 31)[rng.below(5)])
        data = bytearray(cbor.encode([ID, index, bytes(rng.below(300))]))
        for _ in range(rng.below(3)):
            data[rng.below(min(len(data), 20))] = rng.below(256)
        if not rng.below(4):
            data = data[: rng.below(len(data) + 1)]
        elif not rng.below(4):
            data.append(0)
        try:
            got = block(data, ID)
            got = got and [got[0], bytes(got[1])]
        except CodecError:
            got = "refused"
        if got != _decoded(bytes(data)):
            out.append(bytes(data).hex())
    return out
