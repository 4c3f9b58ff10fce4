"""The uward.toml that `uward init` writes; `project` reads it back."""

import json
from pathlib import Path
from typing import Any

from host_tools.pki import files

TEMPLATE = """\
# A uWard fleet. Every key is checked: `uward doctor` says what is wrong.
[project]
name = {name}
vendor = {vendor}  # your domain: images of another vendor are refused
board = {board}  # `uward boards` lists them

[app]
folder = ""  # your program; empty: the example pulse oximeter
entry = "app.main"
version = "1.0.0"
sequence = 1  # raise it with each release
security_version = 1  # raise it when older versions must never run again
date = {date}  # the build time in the image, fixed so that builds can be reproduced
allow = []  # what the lint lets pass by name, for example ["socket"]

[broker]
host = {host}  # where devices connect
port = {port}
name = {broker}  # the name in the broker's certificate
est_port = {est_port}  # where a device whose certificate ran out enrols again; 0: nowhere

[wifi]
ssid = {ssid}  # the password: UWARD_WIFI_PSK or keys/wifi.psk

# [log]
# witness = "/media/stick"  # another disk remembers what was signed: no restored backup signs

# [roles.release]
# threshold = 2
# holders = ["anna", "bert"]
"""


IGNORE = """\
# What must not leave this machine by git: secrets, state, what can be built again.
keys/*
!keys/*.pub
ca/*.key
broker/key.pem
shares/
collector/
boards/
build/
log/
old-*/
"""


def write(project_file: Path, values: dict[str, Any]) -> None:
    """Write a new uward.toml from `values`, the fields of TEMPLATE."""
    every = {"est_port": 0, **values}
    text = TEMPLATE.format(**{key: _quoted(value) for key, value in every.items()})
    files.write(project_file, text.encode(), force=False)


def _quoted(value: object) -> str:
    """A TOML value: a basic string (JSON's escapes are TOML's), a date or a number."""
    return json.dumps(value) if isinstance(value, str) else str(value)
