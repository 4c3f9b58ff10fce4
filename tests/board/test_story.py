"""The main job whole, as `make demo` shows it: every step checks what came of it."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

STEPS = 13
MINUTES = 25
C_STACK = 8192 - 512  # bytes: an interrupt that finds no more than 256 left ends its timer (S18)


def demo(folder, *options):
    command = [sys.executable, "-m", "host_tools.cli", "demo", "--json", "--folder", str(folder)]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=MINUTES * 60
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def check(told):
    outcomes = {step["what"]: step["outcome"] for step in told["steps"]}
    assert len(outcomes) == STEPS
    assert outcomes["refuse an image with one bit flipped"].startswith("upd.bad_digest")
    assert outcomes["refuse an image signed by one role only"].startswith("upd.quorum")
    assert outcomes["refuse an older version, rightly signed"].startswith("upd.rollback")
    assert outcomes["refuse an image for another board class"].startswith("upd.wrong_class")
    assert outcomes["refuse a rightly signed image that is in no log"].startswith("upd.not_logged")
    assert outcomes["refuse a broker of another CA"].startswith("0 bytes of MQTT; tls.reject")
    with sqlite3.connect(told["database"]) as database:
        (count,) = database.execute("SELECT count(*) FROM reading").fetchone()
    assert count >= told["readings"] >= 10
    keys = list((Path(told["database"]).parents[1] / "keys").iterdir())
    assert keys and all(path.stat().st_mode & 0o077 == 0 for path in keys if not path.suffix)


@pytest.mark.timeout(MINUTES * 60)
def test_the_whole_job_on_the_emulated_pico_w(tmp_path):
    told = demo(tmp_path / "demo")
    check(told)
    assert told["c_stack_used"] <= C_STACK


@pytest.mark.timeout(MINUTES * 60)
@pytest.mark.parametrize("broker", ["embedded", "mosquitto"])
def test_the_whole_job_on_the_unix_port(tmp_path, broker):
    if broker == "mosquitto" and not (
        shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()
    ):
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    check(demo(tmp_path / "demo", "--target", "unix", "--broker", broker))
