"""The table at the end."""

OF_INTEREST = (
    "store.tamper",
    "out.dropped",
    "outbox.overflow",
    "heap.low",
    "id.clone",
    "agent.error",
    "flash.error",
)
ROWS = (
    ("told on the console", lambda v: v.told),
    ("kept", lambda v: v.kept),
    ("kept, not heard on the console", lambda v: v.unheard),
    ("unwritten at a cut or reset", lambda v: len(v.unwritten)),
    ("  s before the boot's last word", lambda v: f"{max(v.unwritten, default=0):.0f}"),
    ("under way at the end", lambda v: v.flying),
    ("LOST", lambda v: v.lost),
    ("TWICE", lambda v: v.twice),
    ("WRONG", lambda v: v.wrong),
    ("LATE", lambda v: v.late),
    ("dated before the one before", lambda v: v.back),
    ("off the boot's clock by s", lambda v: f"{v.skew:.1f}"),
)


def table(verdicts, watch, used, events, wall):
    """verdicts: {sensor: Verdict}; used: blocks of flash as of `Watch.used`, when the network was
    back; events: [(name, times)]; wall: seconds."""
    lines = ["", f"{'':32}" + "".join(f"{name:>12}" for name in verdicts)]
    for what, figure in ROWS:
        lines.append(f"{what:32}" + "".join(f"{figure(v):>12}" for v in verdicts.values()))
    blocks, folders = used
    counted = dict(events)
    rest = ", ".join(f"{name} {times}" for name, times in events if name not in OF_INTEREST)
    lines += [
        "",
        "boots: " + "; ".join(boot.end or "on at the end" for boot in watch.truth.boots),
        f"flash after the time offline: {blocks} blocks, of these "
        + ", ".join(f"{folder} {count}" for folder, count in sorted(folders.items())),
        f"flash operations {watch.operations}, erases {watch.erases}",
        "resets as the chip saw them: " + (", ".join(watch.resets) or "none"),
        f"heap free at least: {watch.truth.heap} B, garbage not collected",
        "events: " + ", ".join(f"{name} {counted.get(name, 0)}" for name in OF_INTEREST),
        "other events: " + (rest or "none"),
        f"wall time {wall / 60:.0f} min",
    ]
    return "\n".join(lines)
