"""`python -m tests.bench [WORD...]`: all measurements, or those of the files that WORD is part of.

Exit code 1 when a limit is missed.
"""

import importlib
import sys
from pathlib import Path

from tests.bench import harness


def modules(words):
    """Names of the bench files, sorted."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    return [name for name in names if not words or any(word in name for word in words)]


def main(words):
    rows = []
    for name in modules(words):
        print(f"bench: {name}", file=sys.stderr)
        rows += importlib.import_module(f"tests.bench.{name}").rows()
    print(harness.table(rows))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
