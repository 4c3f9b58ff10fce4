"""A SoftHSM2 token in a folder of its own, for tests."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PIN = "271828"
LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


def library():
    """The module's path; skips where SoftHSM is not installed."""
    found = [path for path in LIBRARIES if Path(path).is_file()]
    if not found or shutil.which("softhsm2-util") is None:
        pytest.skip("no SoftHSM here: apt-get install softhsm2")
    pytest.importorskip("pkcs11", reason="pip install python-pkcs11")
    return found[0]


def make_token(folder, label="uward"):
    """A fresh token called `label` under `folder`; returns the environment that finds it.

    The module reads its configuration once a process: a test that opens tokens in its own
    process makes them all in one folder.
    """
    module = library()
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(config), "UWARD_PKCS11_MODULE": module}
    command = ["softhsm2-util", "--init-token", "--free", "--label", label]
    command += ["--pin", PIN, "--so-pin", "31415926"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return environment
