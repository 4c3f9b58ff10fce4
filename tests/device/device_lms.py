"""The LMS and HSS reference cases on the device: verdicts counted."""

import json
from binascii import unhexlify as unhex

from uward.crypto import lms
from uward.errors import BadSignature, KeyRefused


def verify_all(path):
    """-> {"valid": n accepted, "invalid": n refused, "wrong": [index, ..]}."""
    with open(path) as f:
        return _verify(json.load(f))


def verify_lines(path):
    """The same over one JSON object a line: for heaps that do not hold them all."""
    with open(path) as f:
        return _verify(map(json.loads, f))


def _verify(cases):
    result = {"valid": 0, "invalid": 0, "wrong": []}
    for index, case in enumerate(cases):
        public, signature = unhex(case["pk"]), unhex(case["sig"])
        if case["kind"] == "lms":  # a tree alone is an HSS key of one level
            public, signature = b"\0\0\0\1" + public, b"\0\0\0\0" + signature
        try:
            lms.verify(public, unhex(case["msg"]), signature)
            accepted = True
        except (BadSignature, KeyRefused):
            accepted = False
        if accepted != case["valid"]:
            result["wrong"].append(index)
        else:
            result["valid" if accepted else "invalid"] += 1
    return result
