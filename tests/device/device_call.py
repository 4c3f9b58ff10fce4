"""Call device functions with plain arguments and say what came of it: for tables of cases.

Bytes travel in JSON as "hex:..". A call is [module, function, arguments]; its outcome is
["ok", result] or [class name of the uWard error, message].
"""

from binascii import hexlify, unhexlify

from uward.errors import UwardError


def _thaw(value):
    if isinstance(value, str) and value.startswith("hex:"):
        return unhexlify(value[4:])
    if isinstance(value, list):
        return [_thaw(item) for item in value]
    return value


def _freeze(value):
    if isinstance(value, (bytes, bytearray)):
        return "hex:" + hexlify(value).decode()
    if isinstance(value, (list, tuple)):
        return [_freeze(item) for item in value]
    return value


def run(calls):
    outcomes = []
    for module, name, arguments in calls:
        function = getattr(__import__(module, None, None, ["*"]), name)
        try:
            outcomes.append(["ok", _freeze(function(*_thaw(arguments)))])
        except UwardError as e:
            outcomes.append([type(e).__name__, str(e)])
    return outcomes
