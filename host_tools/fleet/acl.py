"""Who may say what on which topic (SPEC 8, S11): one table for every broker.

A name is the common name of a client certificate: a device id, or the name of a service.
"""

import re

DEVICE = re.compile(r"[a-z0-9]{16,32}")
COLLECTOR = "collector"

# name -> (may publish, may subscribe); "%c" stands for the client's own name
RIGHTS = {
    "device": (("uward/v1/%c/up/+",), ("uward/v1/%c/down/#",)),
    COLLECTOR: (("uward/v1/+/down/#",), ("uward/v1/+/up/#",)),
}


def is_service(name: str) -> bool:
    """True for the names that no device certificate can carry: shorter than any device id."""
    return name == COLLECTOR


def may_publish(name: str, topic: str) -> bool:
    return _allowed(name, 0, topic)


def may_subscribe(name: str, topic_filter: str) -> bool:
    """True when every topic that `topic_filter` matches may be read by `name`."""
    return _allowed(name, 1, topic_filter)


def _allowed(name: str, side: int, asked: str) -> bool:
    if is_service(name):
        rights = RIGHTS[name]
    elif DEVICE.fullmatch(name):
        rights = RIGHTS["device"]
    else:
        return False
    return any(covers(pattern.replace("%c", name), asked) for pattern in rights[side])


def covers(allowed: str, asked: str) -> bool:
    """True when `asked`, a topic or a filter, matches nothing beyond `allowed` (MQTT 4.7)."""
    pattern, levels = allowed.split("/"), asked.split("/")
    for i, level in enumerate(pattern):
        if level == "#":
            return len(levels) > i
        if i >= len(levels) or levels[i] == "#" or level not in ("+", levels[i]):
            return False
    return len(levels) == len(pattern)


def mosquitto_rules() -> str:
    """The same table as a mosquitto `acl_file`; %u is the certificate's common name."""
    device, collector = RIGHTS["device"], RIGHTS[COLLECTOR]
    lines = [f"pattern write {p.replace('%c', '%u')}" for p in device[0]]
    lines += [f"pattern read {p.replace('%c', '%u')}" for p in device[1]]
    lines += ["", f"user {COLLECTOR}"]
    lines += [f"topic write {p}" for p in collector[0]]
    lines += [f"topic read {p}" for p in collector[1]]
    return "\n".join(lines) + "\n"
