"""The lint: what an app may not use (S5), each rule with code that trips it and code that may."""

import pytest

from host_tools.image import lint

REFUSED = [
    ("exec", "exec('1')"),
    ("eval", "x = eval"),
    ("compile", "compile('1', '', 'eval')"),
    ("execfile", "execfile('/x.py')"),
    ("__import__", "__import__('os')"),
    ("builtins", "import builtins"),
    ("vfs.mount", "import vfs\nvfs.mount(1, '/x')"),
    ("vfs.mount", "import uos as o\no.mount(1, '/x')"),
    ("vfs.umount", "from vfs import umount"),
    ("sys.path", "import sys\nsys.path.append('/')"),
    ("sys.path", "from sys import path as p"),
    ("sys.modules", "import sys as s\ns.modules.clear()"),
    ("machine.mem8", "import machine\nmachine.mem8[0] = 1"),
    ("machine.mem16", "from machine import mem16"),
    ("machine.mem32", "import umachine\numachine.mem32[0]"),
    ("machine.mem32", "import machine\ngetattr(machine, 'mem32')"),
    ("uctypes", "import uctypes"),
    ("micropython.asm", "import micropython\n@micropython.asm_thumb\ndef f():\n    pass"),
    ("micropython.viper", "from micropython import viper"),
    ("ssl", "import ssl"),
    ("ssl", "from ussl import wrap_socket"),
    ("tls", "import tls"),
    ("socket", "import usocket as s"),
    ("socket", "def f():\n    import socket"),
    ("raw flash", "import rp2\nrp2.Flash().readblocks(0, b)"),
    ("raw flash", "from esp32 import Partition"),
    ("os.dupterm", "import os\nos.dupterm(uart)"),
    ("asyncio.open_connection", "import asyncio\nasyncio.open_connection('x', 1)"),
    ("asyncio.open_connection", "from uasyncio.stream import open_connection"),
    ("asyncio.start_server", "import uasyncio as a\na.start_server(f, '', 1)"),
    ("umqtt", "from umqtt.simple import MQTTClient"),
    ("umqtt", "import umqtt.robust"),
    ("requests", "import urequests"),
    ("mip", "import mip"),
    ("webrepl", "import webrepl"),
    ("ntptime", "import ntptime"),
]


@pytest.mark.parametrize(("rule", "source"), REFUSED)
def test_refused_unless_allowed(rule, source):
    found = lint.check({"/app/main.py": source.encode()})
    assert {finding.rule for finding in found} == {rule}
    assert lint.check({"/app/main.py": source.encode()}, [rule]) == []


def test_every_rule_is_tried():
    assert {rule for rule, _ in REFUSED} == set(lint.RULES)


def test_a_finding_names_file_line_and_reason():
    found = lint.check({"/app/b.py": b"import machine\n\nx = eval('1')\n"})
    assert [str(finding) for finding in found] == [
        "/app/b.py:3: eval runs text as code that nobody signed"
    ]


def test_a_computed_name_counts_as_all_of_the_module():
    found = lint.check({"/app/a.py": b"import sys\ngetattr(sys, 'pa' + 'th')"})
    assert {finding.rule for finding in found} == {"sys.path", "sys.modules"}


def test_a_star_import_counts_as_all_of_the_module():
    found = lint.check({"/app/a.py": b"from machine import *"})
    assert {finding.rule for finding in found} == {
        "machine.mem8",
        "machine.mem16",
        "machine.mem32",
    }


def test_source_that_is_not_python_is_a_finding_with_its_line():
    assert lint.check({"/app/a.py": b"x = 1\ndef"}) == [lint.Finding("/app/a.py", 2, "syntax")]


@pytest.mark.parametrize(
    "source",
    [
        "import machine\nmachine.Pin(1)",
        "import sys\nsys.exit()",
        "class A:\n    def compile(self):\n        self.eval = 1",
        "from uward import Agent\nagent = Agent()",
        "path = modules = mem32 = 1",
        "import os\nos.remove('/x')",
        "import asyncio\nasyncio.sleep_ms(1)",
        "import rp2, esp32\nrp2.PIO(0)\nesp32.wake_on_ext0",
    ],
)
def test_plain_code_passes(source):
    assert lint.check({"/app/a.py": source.encode()}) == []
