"""A fleet with a policy and one board that obeys: what the command rounds of two boards share."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from host_tools import project, template
from host_tools.demo.services import Services
from host_tools.demo.story import HOST, free_port
from host_tools.errors import Refused
from host_tools.verbs import build, devices, flash, init, policy, provision, send, sign

ANNA = "operator:anna"
TOKEN_KEY = "pkcs11:token=uward;object=anna"
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
cooldown_s = 600

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


def fleet(folder, board, target, token=None):
    """A fleet in `folder` with one enrolled board, flashed with APP. -> (project, device id).

    token: the environment of a PKCS#11 token that holds anna's key; else it is a file."""
    root = folder / "fleet"
    options = init.Options(
        vendor="example.org",
        board=board,
        host=HOST,
        port=free_port(),
        est_port=free_port(),
        height=10,
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
    if token:
        take_to_token(root, token)
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


def take_to_token(root, token):
    """Anna's key goes; the trust document names one that is made in the token."""
    for path in (root / "keys").glob("operator-anna*"):
        path.unlink()
    for words in (
        ("keys", "token", ANNA, TOKEN_KEY, "--generate"),
        ("trust", "drop-key", ANNA),
        ("trust", "add-key", ANNA),
        ("trust", "sign"),
    ):
        done = cli(token, *words, "--fleet", str(root))
        assert done.returncode == 0, done.stderr


def cli(env, *words):
    """The command line in a process of its own: a PKCS#11 module reads its environment once."""
    run = [sys.executable, "-m", "host_tools.cli", *words]
    return subprocess.run(run, env={**os.environ, **env}, capture_output=True, text=True)


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


def order(found, device, name, arguments, *people, token=None):
    """Sign a command by all of `people`, deliver it. -> what `uward send` tells; or Refused."""
    who, *others = people
    if token and who == ANNA:
        told = order_by_token(found, device, name, arguments or {}, token)
    else:
        options = send.Options(role=who, wait_s=WAIT_S)
        told = send.do_send(found, device, name, arguments or {}, options)
    for person in others:
        told = send.do_cosign(found, Path(told["file"]), send.Options(role=person, wait_s=WAIT_S))
    return told


def order_by_token(found, device, name, arguments, token):
    words = ["send", device, name, *[f"{key}={arguments[key]}" for key in arguments]]
    words += ["--role", ANNA, "--wait", str(WAIT_S), "--fleet", str(found.root), "--json"]
    done = cli(token, *words)
    if done.returncode == 1:
        raise Refused(done.stderr)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def play(found, device, services, token=None):
    """Policy, dose by two persons, refusals, quarantine, release, reboot; asserts each answer."""

    def ask(name, arguments=None, *people):
        return order(found, device, name, arguments, *people, token=token)

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
