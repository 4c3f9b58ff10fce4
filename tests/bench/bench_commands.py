"""One command with one signature: every check, from the bytes to the verdict (SPEC 11)."""

import sys
import tempfile
from pathlib import Path

from tests.conftest import FIRMWARE, ROOT

sys.path.insert(0, str(FIRMWARE))
sys.path.insert(0, str(ROOT / "tests/device"))

from command_kit import CHALLENGE, DEVICE, NOW, TRUST, Kit

from tests.bench.harness import Bench, Row

COMMANDS = 4
SETUP = """
import asyncio
from uward import port
from uward.orders import Orders
port.set_time({now})
class Agent(Orders):
    info = {{"trust": {trust}}}
    def uptime(self): return 10**6
    def event(self, name, reason=""): pass
agent = Agent()
agent.orders["light"] = (lambda: None, {{}})
from uward.guard import begin
several = [open("/data%d" % i, "rb").read() for i in range(4)]
data = several[0]
begin.adopt(agent, open("/policy", "rb").read())
from uward.guard import book, command, core, judge, result
from uward.vault import keys
book_ = book.load(keys.root()).value()
def judged(data):
    root = keys.root()
    agent.book = book_
    asked = judge.Command(data)
    context = command.gather(agent, root, ({device!r}, {challenge!r}, True, True))
    judge.fresh(asked, context)
    rule = judge.rule(asked, context)
    signers = []
    for _ in judge.signatures(asked, context, signers):
        pass
    judge.decide(asked, context, rule, signers)
def whole():
    book.save(keys.root(), book.Book({{5: book.load(keys.root()).policy}}))
    return asyncio.run(command.obey(agent, {device!r}, data, {challenge!r}, True))
judged(data)
"""


def rows():
    with tempfile.TemporaryDirectory() as folder:
        yield from _rows(Path(folder))


def _rows(folder):
    kit = Kit(folder)
    root = Path(kit.place(folder, far=True))
    files = {"/id/" + path.name: path.read_bytes() for path in (root / "id").iterdir()}
    files["/policy"] = kit.policy()
    for i in range(COMMANDS):  # a signature takes as long as its numbers
        files[f"/data{i}"] = kit.command("light", counter=2**40 + i)
    setup = SETUP.format(now=NOW, trust=TRUST, device=DEVICE, challenge=CHALLENGE)
    thumb = Bench(files)
    thumb.run(setup)
    yield Row("command judged, one signature, Thumb", _mean(thumb), limit=110, goal=100)
    yield Row("command obeyed and answered, Thumb", thumb.ms("whole()", runs=1))
    portable = Bench(files, without=("_p256_native.mpy",))
    portable.run(setup)
    yield Row("command judged, portable", _mean(portable), limit=720)


def _mean(bench):
    """ms of one command, the heap collected before each."""
    each = [bench.ms(f"judged(several[{i}])", runs=1) for i in range(COMMANDS)]
    return sum(each) / COMMANDS
