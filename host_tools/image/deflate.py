"""Raw DEFLATE (RFC 1951) in a window of 1 KB: how the files of an image are stored (SPEC 2).

Written out here because the same sources must make the same image on any machine: zlib and its
replacements (zlib-ng, of which some Pythons are built) make different streams of the same bytes.
The cheapest way through all matches is searched for: the streams are no larger than zlib's.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

WINDOW_BITS = 10  # the device holds 2^10 bytes of what it inflated; 2^12 would save 0.4 %
WINDOW = 1 << WINDOW_BITS
SHORTEST, LONGEST = 3, 258  # bytes of a match
ROUNDS = 3  # each finds the cheapest way at the prices of the round before
LITERALS, END, FIRST_LENGTH = 256, 256, 257  # symbols: bytes, the end of a block, lengths
SYMBOLS, DISTANCES = 286, 30
LONGEST_CODE, LONGEST_RUN_CODE = 15, 7  # bits
UNSEEN = 14  # bits that a symbol is taken to cost when the round before did not use it
RUN_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)  # 3.2.7
RUNS = ((18, 7, 11, 138), (17, 3, 3, 10), (16, 2, 3, 6))  # symbol, extra bits, least, most

Step = tuple[int, int]  # a match: its length and distance; a literal: 1 and 0
Code = Sequence[int]  # bits of each symbol, 0 for one that does not occur
Codes = tuple[Code, Code]  # of literals and lengths, of distances
Table = Sequence[tuple[int, int]]
FIXED: Codes = (8,) * 144 + (9,) * 112 + (7,) * 24 + (8,) * 8, (5,) * DISTANCES  # 3.2.6


@lru_cache(maxsize=1024)
def deflate(data: bytes) -> bytes:
    """One stream of one block. The same bytes give the same stream, on any machine."""
    matches = [*_matches(data)]
    codes = FIXED
    made: list[bytes] = []
    for _ in range(ROUNDS):
        steps = _cheapest(data, matches, codes)
        codes = _codes(data, steps)
        made += [_block(data, steps, codes), _block(data, steps, FIXED)]
    return min(made, key=len)


def _table(bits: Iterable[int], first: int) -> list[tuple[int, int]]:
    """(extra bits, least value) of each symbol of 3.2.5."""
    out: list[tuple[int, int]] = []
    for extra in bits:
        out.append((extra, first))
        first += 1 << extra
    return out


def _symbols(table: Table, last: int) -> list[int]:
    """The symbol of each value."""
    out = [0] * (last + 1)
    for symbol, (_, least) in enumerate(table):
        out[least:] = [symbol] * len(out[least:])
    return out


LENGTH_TABLE = [*_table([0] * 8 + [n for n in range(1, 6) for _ in range(4)], SHORTEST)]
LENGTH_TABLE.append((0, LONGEST))
DISTANCE_TABLE = _table([0, 0, *(n for n in range(14) for _ in range(2))], 1)
LENGTH_OF = _symbols(LENGTH_TABLE, LONGEST)
DISTANCE_OF = _symbols(DISTANCE_TABLE, WINDOW)


def _matches(data: bytes) -> Iterator[list[Step]]:
    """For each place the matches that begin there: ever longer, each as near as can be."""
    seen: dict[bytes, list[int]] = {}
    for place in range(len(data)):
        found: list[Step] = []
        key = data[place : place + SHORTEST]
        earlier = seen.setdefault(key, [])
        most = min(LONGEST, len(data) - place)
        longest = SHORTEST - 1
        for other in reversed(earlier):
            if place - other > WINDOW or longest >= most:
                break
            if data[other + longest] == data[place + longest]:
                size = _common(data, other, place, most)
                if size > longest:
                    found.append((size, place - other))
                    longest = size
        earlier.append(place)
        yield found


def _common(data: bytes, one: int, other: int, most: int) -> int:
    size = SHORTEST
    while size < most and data[one + size] == data[other + size]:
        size += 1
    return size


def _cheapest(data: bytes, matches: list[list[Step]], codes: Codes) -> list[Step]:
    """The steps through `data` that cost least at the prices of `codes`."""
    literal, length, distance = _prices(codes)
    cost = [0] * (len(data) + 1)
    step: list[Step] = [(1, 0)] * len(data)
    for place in range(len(data) - 1, -1, -1):
        least = literal[data[place]] + cost[place + 1]
        size = SHORTEST
        for longest, far in matches[place]:
            price = distance[far]
            while size <= longest:
                this = price + length[size] + cost[place + size]
                if this < least:
                    least = this
                    step[place] = (size, far)
                size += 1
        cost[place] = least
    return [*_walk(step)]


def _walk(step: list[Step]) -> Iterator[Step]:
    place = 0
    while place < len(step):
        yield step[place]
        place += step[place][0]


def _prices(codes: Codes) -> tuple[list[int], list[int], list[int]]:
    """Bits of each literal, of each length and of each distance."""
    symbols, distances = ([bits or UNSEEN for bits in code] for code in codes)
    lengths = [symbols[FIRST_LENGTH + n] + LENGTH_TABLE[n][0] for n in LENGTH_OF]
    return symbols, lengths, [distances[n] + DISTANCE_TABLE[n][0] for n in DISTANCE_OF]


def _codes(data: bytes, steps: list[Step]) -> Codes:
    """The best codes for these steps."""
    symbols, distances = [0] * SYMBOLS, [0] * DISTANCES
    symbols[END] = 1
    place = 0
    for size, far in steps:
        if far:
            symbols[FIRST_LENGTH + LENGTH_OF[size]] += 1
            distances[DISTANCE_OF[far]] += 1
        else:
            symbols[data[place]] += 1
        place += size
    return _huffman(symbols, LONGEST_CODE), _huffman(distances, LONGEST_CODE)


def _huffman(counts: Sequence[int], most: int) -> list[int]:
    """Bits of each symbol in the best code of at most `most` bits a symbol: package-merge
    (Larmore and Hirschberg, 1990). One symbol alone takes a bit, as the format wants it."""
    leaves = sorted((count, (symbol,)) for symbol, count in enumerate(counts) if count)
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(most):
        row = sorted([*leaves, *packages])
        pairs = zip(row[::2], row[1::2], strict=False)  # one left over
        packages = [(one[0] + two[0], one[1] + two[1]) for one, two in pairs]
    out = [0] * len(counts)
    for _, symbols in packages[: len(leaves) - 1] or leaves:
        for symbol in symbols:
            out[symbol] += 1
    return out


class _Bits:
    """Bits in DEFLATE's order: those of a byte and those of a number from the lowest on."""

    def __init__(self) -> None:
        self.value = self.size = 0
        self.out = bytearray()

    def add(self, value: int, size: int) -> None:
        self.value |= value << self.size
        self.size += size
        while self.size >= 8:
            self.out.append(self.value & 255)
            self.value >>= 8
            self.size -= 8

    def done(self) -> bytes:
        return bytes(self.out) + bytes([self.value] if self.size else [])


def _words(code: Code) -> list[tuple[int, int]]:
    """(word, its bits) of each symbol by 3.2.2. A word goes out from its highest bit on, so it
    is turned round here."""
    out = [(0, 0)] * len(code)
    word = 0
    for bits in range(1, LONGEST_CODE + 1):
        word <<= 1
        for symbol, size in enumerate(code):
            if size == bits:
                out[symbol] = int(f"{word:0{bits}b}"[::-1], 2), bits
                word += 1
    return out


def _block(data: bytes, steps: list[Step], codes: Codes) -> bytes:
    """The one block of a stream."""
    bits = _Bits()
    bits.add(1, 1)  # the last
    if codes is FIXED:
        bits.add(1, 2)
    else:
        bits.add(2, 2)
        _describe(bits, *codes)
    symbols, distances = map(_words, codes)
    lengths = symbols[FIRST_LENGTH:]
    place = 0
    for size, far in steps:
        if far:
            _valued(bits, size, LENGTH_OF[size], LENGTH_TABLE, lengths)
            _valued(bits, far, DISTANCE_OF[far], DISTANCE_TABLE, distances)
        else:
            bits.add(*symbols[data[place]])
        place += size
    bits.add(*symbols[END])
    return bits.done()


def _valued(bits: _Bits, value: int, symbol: int, table: Table, words: Table) -> None:
    """A symbol and what its value is above the least that the symbol stands for."""
    extra, least = table[symbol]
    bits.add(*words[symbol])
    bits.add(value - least, extra)


def _describe(bits: _Bits, symbols: Code, distances: Code) -> None:
    """Both codes, before a block that has its own (3.2.7)."""
    first, second = _cut(symbols, FIRST_LENGTH), _cut(distances, 1)
    runs = [*_runs([*first, *second])]
    counts = [0] * len(RUN_ORDER)
    for symbol, _, _ in runs:
        counts[symbol] += 1
    code = _huffman(counts, LONGEST_RUN_CODE)
    sent = _cut([code[symbol] for symbol in RUN_ORDER], 4)
    bits.add(len(first) - FIRST_LENGTH, 5)
    bits.add(len(second) - 1, 5)
    bits.add(len(sent) - 4, 4)
    for size in sent:
        bits.add(size, 3)
    words = _words(code)
    for symbol, value, extra in runs:
        bits.add(*words[symbol])
        bits.add(value, extra)


def _cut(code: Code, least: int) -> Code:
    """Without the zeros at the end, but for the first `least`."""
    return code[: max([least, *(symbol + 1 for symbol, size in enumerate(code) if size)])]


def _runs(code: Code) -> Iterator[tuple[int, int, int]]:
    """A code as symbols of 3.2.7: bits as they are, runs of them as (symbol, how many above the
    least, extra bits)."""
    place = 0
    while place < len(code):
        bits = code[place]
        same = next((n for n in range(place, len(code)) if code[n] != bits), len(code)) - place
        again = bits and place and code[place - 1] == bits
        for symbol, extra, least, most in RUNS:
            if same >= least and ((symbol == 16 and again) or (symbol != 16 and not bits)):
                same = min(same, most)
                yield symbol, same - least, extra
                place += same
                break
        else:
            yield bits, 0, 0
            place += 1
