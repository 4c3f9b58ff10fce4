"""What was compiled once in this process is not compiled again: the next build of a demo or a test
is of the same sources."""

import functools
import hashlib
from collections.abc import Callable
from typing import ParamSpec

Files = dict[str, bytes]
P = ParamSpec("P")

KEPT = 8  # results of 200 KB


def remembered(function: Callable[P, Files]) -> Callable[P, Files]:
    """`function`, whose result depends on nothing but its arguments, which say all of themselves
    in their `repr`: boards, maps of sources."""
    made: dict[bytes, Files] = {}

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> Files:
        key = hashlib.sha256(repr((arguments, options)).encode()).digest()
        if key not in made:
            result = function(*arguments, **options)
            while len(made) >= KEPT:
                del made[next(iter(made))]
            made[key] = result
        return dict(made[key])

    return call
