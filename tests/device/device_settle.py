"""What a boot makes of what was handed down before it: `offer.settle` on a board's files."""

import os

import device_defences as field


def _info(slot, trial, state=2):
    info = {"slot": slot, "trial": trial, "state": state, "trust": 1, "reason": ""}
    info["lost"] = slot == "r"
    for name in ("vendor", "class"):
        info[name] = bytes(16)
    return info


def settle(root, slot="a", trial=False, boots=1, lose=()):
    """Boot `boots` times. -> of the last: [news, states told, trust version, number of things
    seen], then the files of /trust and of /slot, and the record or what is wrong with it.

    lose: files that are gone, after the witness of the record was written.
    """
    field.at(root)
    if lose:
        from uward.update import witness as kept
        from uward.vault import keys

        kept.write(keys.root(), field._record())
    for path in lose:
        os.remove(path)
    from uward import lazy
    from uward.errors import BootRefused
    from uward.update import offer

    Early.armed = 0
    kept = lazy.use
    lazy.use = lambda name: Early if name == "boot.early" else kept(name)
    for _ in range(boots):
        info = _info(slot, trial)
        offer.settle(info)
    lazy.use = kept
    told = [[state[1], state[2]] for state in info["told"]]
    try:
        made = field._record()
        record = [made.state, made.owned, made.confirmed, made.floor, made.sequence]
        record += [made.trust_version, made.generation]
    except BootRefused as e:
        record = str(e)
    out = [[list(event) for event in info["news"]], told, info["trust"], len(info["seen"])]
    out += [sorted(os.listdir("/trust")), sorted(os.listdir("/slot")), record, Early.armed]
    return out


class Early:
    armed = 0

    @staticmethod
    def watchdog():
        Early.armed += 1


class Agent:
    def __init__(self, trial):
        self.info = {"trial": trial, "seen": []}
        self.resets = []

    def reset_soon(self, earliest):
        self.resets.append(earliest)


def hand_over(root, documents, trial=False):
    """Trust documents come in a session. -> [sizes of /trust/new after each, resets asked for]"""
    field.at(root)
    from uward.link import inbox

    agent = Agent(trial)

    sizes = []
    for data in documents:
        inbox.take(agent, None, "trust", bytes.fromhex(data))
        try:
            sizes.append(os.stat("/trust/new")[6])
        except OSError:
            sizes.append(None)
    return [sizes, agent.resets]


def witness(root, drop=None, forge=None):
    """Write the witness of the record in force; then lose some files, or change a byte of some.
    -> what `rebuild.mend` says."""
    field.at(root)
    from uward.errors import UwardError
    from uward.update import rebuild
    from uward.update import witness as kept
    from uward.vault import keys

    kept.write(keys.root(), field._record())
    for path in drop or ():
        os.remove(path)
    for path in forge or ():
        with open(path, "rb") as f:
            data = bytearray(f.read())
        data[40] ^= 1
        with open(path, "wb") as f:
            f.write(data)
    try:
        made = rebuild.mend()
    except (UwardError, OSError) as e:
        return type(e).__name__
    if made is None:
        return None
    return [made.state, made.owned, made.floor, made.sequence, made.trust_version]
