"""Transcripts in this folder are the command line's tests: `*.txt`, which a stranger can read.

A line `$ command` is run by sh in a folder of its own. What follows is what it must print: lines
as they are for stdout, `! line` for stderr, and at the end `exit N` when the code is not 0.
`...` inside a line stands for anything, alone on a line for any lines; how many spaces part two
words does not count. `# text` is said to the reader. After `-- name --` the rest of the file, up
to the next such line, is a file that is there from the start.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
COMMAND_TIMEOUT_S = 120
FILE_MARK = re.compile(r"^-- (\S+) --\n", re.M)


class Step:
    def __init__(self, line, number):
        self.line, self.number = line, number
        self.out, self.err, self.code = [], [], 0


def parse(text):
    """(steps, files) of one transcript."""
    script, *parts = FILE_MARK.split(text)
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    steps = []
    for number, line in enumerate(script.splitlines(), 1):
        if line.startswith("$ "):
            steps.append(Step(line[2:], number))
        elif line.startswith("#") or not line or not steps:
            continue
        elif line.startswith("! "):
            steps[-1].err.append(line[2:])
        elif match := re.fullmatch(r"exit (\d+)", line):
            steps[-1].code = int(match[1])
        else:
            steps[-1].out.append(line)
    return steps, files


def plain(line):
    return " ".join(line.split())


def matches(expected, got):
    """`got` (text) is `expected` (lines), `...` standing for anything, alone for any lines."""
    pattern = ""
    for line in expected:
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(map(re.escape, plain(line).split("..."))) + r"\n"
    lines = "".join(plain(line) + "\n" for line in got.splitlines() if line.strip())
    return re.fullmatch(pattern, lines) is not None


def environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UWARD_")}
    kept.pop("SOURCE_DATE_EPOCH", None)
    cache = os.environ.get("UWARD_CACHE")
    return {
        **kept,
        **({"UWARD_CACHE": cache} if cache else {}),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "COLUMNS": "99",
        "TERM": "dumb",
        "NO_COLOR": "1",
    }


@pytest.mark.parametrize("path", sorted(HERE.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(path, tmp_path):
    steps, files = parse(path.read_text("utf-8"))
    assert steps, f"{path.name} has no command"
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for step in steps:
        done = subprocess.run(
            ["sh", "-c", step.line],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        where = f"{path.name}:{step.number}: $ {step.line}"
        said = f"{where}\nstdout:\n{done.stdout}\nstderr:\n{done.stderr}\nexit {done.returncode}"
        good = done.returncode == step.code and "Traceback" not in done.stderr
        if not (good and matches(step.out, done.stdout) and matches(step.err, done.stderr)):
            pytest.fail(said, pytrace=False)


@pytest.mark.parametrize(
    ("expected", "got", "good"),
    [
        (["a", "b"], "a\nb\n", True),
        (["a", "b"], "a\nb\nc\n", False),
        (["a...c"], "abbc\n", True),
        (["a...c"], "ab\nc\n", False),
        (["a", "...", "d"], "a\nb\nc\nd\n", True),
        (["a", "..."], "a\n", True),
        (["a.c"], "abc\n", False),
        ([], "x\n", False),
    ],
)
def test_the_matcher_itself(expected, got, good):
    assert matches(expected, got) is good
