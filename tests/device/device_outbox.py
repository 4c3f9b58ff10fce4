"""The outbox under random histories, run on CPython and MicroPython."""

from uward.vault.outbox import Outbox


def overflow(capacity, sizes, criticals, send):
    """Append bodies of `sizes`; number the first `send` at once -> what is left and lost."""
    box = Outbox(b"s" * 16, capacity)
    took = []
    for i in range(len(sizes)):
        took.append(box.append("tele", i, b"\x00" * sizes[i], i in criticals))
        if i < send:
            box.peek(i)
    left = []
    while True:
        entry = box.peek(left[-1][0] if left else 0)
        if entry is None:
            return [took, left, box.dropped]
        left.append([entry.sequence, entry.when])


def history(steps, capacity):
    """Random steps against a plain list: ["a", size] append, ["p"] peek, ["k", n] acknowledge.

    -> [sequences handed out in order, when-values in order, dropped, appended, refused, worst use]
    """
    box = Outbox(b"s" * 16, capacity)
    sequences, whens = [], []
    after = appended = refused = worst = 0
    for step in steps:
        if step[0] == "a":
            appended += 1
            if not box.append("tele", appended, b"\x00" * step[1]):
                refused += 1
        elif step[0] == "p":
            entry = box.peek(after)
            if entry is not None:
                after = entry.sequence
                sequences.append(entry.sequence)
                whens.append(entry.when)
        else:
            box.acknowledge(min(step[1], box.sent))
        worst = max(worst, box._used)
    return [sequences, whens, box.dropped, appended, refused, worst]
