"""A fleet with a policy and one board that obeys: what the command rounds of two boards share."""

import sqlite3
from contextlib import contextmanager
from pathlib import Path

import pytest

from host_tools import project, template
from host_tools.demo.services import Services
from host_tools.demo.story import HOST, free_port
from host_tools.errors import Refused
from host_tools.verbs import build, devices, flash, init, policy, provision, send, sign

WAIT_S = 300  # a board that rotates its keys overwrites each free block; machines are shared
APP = b"""
from uward import Agent

agent = Agent()


@agent.sensor("ticks", every_s=1)
def ticks():
    return 1


@agent.command("dose", ml=(0, 40))
def dose(ml):
    return "%s ml given" % ml


@agent.safe
def stop():
    agent.event("pump.stopped")


agent.run()
"""
TWO_ADMINS = """
[roles.operator]
holders = ["anna", "bert"]

[roles.admin]
holders = ["carl", "dora"]
"""
POLICY = """
version = 1

[commands.dose]
allow = [{ roles = ["operator"], signers = 2 }, { roles = ["operator"], emergency = true }]
arguments.ml = { low = 0, high = 50, step = 10, start = 0 }
cooldown_s = 5

[commands.quarantine]
allow = [{ roles = ["operator", "admin"] }]

[commands.release]
allow = [{ roles = ["admin"], signers = 2 }]

[commands.reboot]
allow = [{ roles = ["admin"] }]

[commands.unlock-console]
allow = [{ roles = ["admin"], signers = 2 }]
arguments.seconds = { low = 30, high = 900 }

[commands.rotate-keys]
allow = [{ roles = ["admin"], signers = 2 }]

[commands.retire]
allow = [{ roles = ["admin"], signers = 2 }]
"""


def fleet(folder, board, target):
    """A fleet in `folder` with one enrolled board, flashed with APP. -> (project, device id)."""
    root = folder / "fleet"
    options = init.Options(
        vendor="example.org", board=board, host=HOST, port=free_port(), height=10
    )
    root.mkdir()
    template.write(root / project.FILE, options.values(root))
    path = root / project.FILE
    text = path.read_text("utf-8").replace('folder = ""', 'folder = "app"')
    path.write_text(text + TWO_ADMINS, "utf-8")
    (root / "app").mkdir()
    (root / "app/main.py").write_bytes(APP)
    (root / "app/__init__.py").write_bytes(b"")
    init.do_init(root, init.Options(height=10), lambda done, total: None)
    found = project.load(root)
    build.do_build(found, board)
    images = found.image_folder(board, found.app.version, found.app.sequence)
    for name in ("image.img", "recovery.img"):
        sign.do_sign(found, images / name, sign.Options())
    flash.do_flash(found, target, images=images)
    provision.do_provision(found, target)
    (device,) = [path.stem for path in found.folder("devices").glob("*.json")]
    (root / "policy.toml").write_text(POLICY, "utf-8")
    return found, device


@contextmanager
def serving(found, broker):
    services = Services(found.root, broker)
    services.start()
    try:
        yield services
    finally:
        services.stop()


def heard(services, what, since=0):
    """Waits for a notice whose text begins so."""
    return services.wait(what, lambda notice: notice.text.startswith(what), WAIT_S, since)


def events(found):
    with sqlite3.connect(found.folder("collector") / "collector.db") as database:
        return database.execute("SELECT name, reason FROM event ORDER BY id").fetchall()


def order(found, device, name, arguments, *people):
    """Sign a command by all of `people`, deliver it. -> what `uward send` tells; or Refused."""
    who, *others = people
    options = send.Options(role=who, wait_s=WAIT_S)
    told = send.do_send(found, device, name, arguments or {}, options)
    for person in others:
        told = send.do_cosign(found, Path(told["file"]), send.Options(role=person, wait_s=WAIT_S))
    return told


def play(found, device, services):
    """Policy, dose by two persons, refusals, quarantine, release, reboot; asserts each answer."""

    def ask(name, arguments=None, *people):
        return order(found, device, name, arguments, *people)

    heard(services, "ticks")
    policy.do_publish(found, found.root / "policy.toml", "policy")
    heard(services, "policy.adopted version 1")
    both = ("operator:anna", "operator:bert")
    assert ask("dose", {"ml": 5}, *both)["detail"] == "5 ml given"
    with pytest.raises(Refused, match=r"safety\.refused: cool-down"):
        ask("dose", {"ml": 5}, *both)
    assert ask("quarantine", None, "operator:anna")["outcome"] == "done"
    with pytest.raises(Refused, match=r"cmd\.denied: in quarantine"):
        ask("dose", {"ml": 5}, *both)
    since = len(services.notices)
    heard(services, "ticks", since)  # sensing goes on
    shown = devices.do_device(found, device)
    assert shown["quarantined"] and shown["actuators_rest"] and shown["policy"] == 1
    assert ask("release", None, "admin:carl", "admin:dora")["outcome"] == "done"
    since = len(services.notices)
    assert ask("reboot", None, "admin:dora")["outcome"] == "done"
    heard(services, "hello", since)
    names = [name for name, _ in events(found)]
    assert {"cmd.done", "safety.refused", "cmd.denied", "pump.stopped"} <= set(names)
