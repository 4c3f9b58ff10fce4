"""What a device says of itself when it connects (SPEC 8)."""

from uward import port


def body(agent, station):
    """-> the map of a hello; its nonce is the clock's next question."""
    info = agent.info
    said = {
        1: station.clock.ask(),
        2: info["version"],
        3: info["sequence"],
        4: info["security"],
        5: info["slot"],
        6: info["trial"],
        7: info["state"],
        8: station.trust,
        9: info["board"],
        10: info["manifest"],
        11: station.clock.quality,
        12: port.heap_free(),
        13: agent.lost,
        14: agent.outbox.oldest,
        15: agent.obedience(),
        16: station.starts,
        17: station.log,
    }
    if "interpreter" in info:
        said[18] = info["interpreter"]
    return said
