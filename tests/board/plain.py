"""Where the raw flash of a board holds what is new in an image: in the slot's file alone (S6)."""

BLOCK, WINDOW, STEP = 4096, 32, 16  # bytes: of flash, of what is looked for, between two of them


def assert_only_in_the_slot(image, before, dump):
    """Wherever the flash holds what is new in an image, it is a block of the slot's file (S6)."""
    news = [image[at : at + WINDOW] for at in range(0, len(image), STEP)]
    news = [piece for piece in news if len(piece) == WINDOW and piece not in before]
    # A last block of fewer bytes holds nothing that is looked for
    parts = [part for part in pieces(image) if len(part) >= WINDOW]
    begins = {part[:WINDOW]: number for number, part in enumerate(parts)}
    seen, strange = set(), []
    for at in range(0, len(dump), BLOCK):
        block = dump[at : at + BLOCK]
        heads = [block[n : n + WINDOW] for n in range(0, 60, 4)]  # behind 0 to 14 pointers
        number = next((begins[head] for head in heads if head in begins), None)
        if number is not None:
            seen.add(number)
        elif any(piece in block for piece in news):
            strange.append(at)
    assert len(news) > 100 and strange == []
    assert seen == set(range(len(parts)))


def pieces(content):
    """The data of each block of a file as littlefs lays it (SPEC of littlefs, CTZ lists): block
    n > 0 begins with a 4-byte pointer more than n has trailing zeros."""
    at = number = 0
    while at < len(content):
        pointers = ((number & -number).bit_length()) if number else 0
        size = BLOCK - 4 * pointers
        yield content[at : at + size]
        at += size
        number += 1
