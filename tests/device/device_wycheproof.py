"""Wycheproof files on the device: each test's verdict against ours, counted.

Each function: path -> {"accepted": n, "refused": n, "wrong": [tcId, ..], "classes": {name: n}}
where `wrong` are verdicts that differ and `classes` the errors that refusals raised.
"""

import json
from binascii import unhexlify as unhex

from uward.crypto import aead, hash, keywrap
from uward.errors import BadMac, UwardError


def _run(path, check, expected):
    result = {"accepted": 0, "refused": 0, "wrong": [], "classes": {}}
    with open(path) as f:
        groups = json.load(f)["testGroups"]
    for group in groups:
        for test in group["tests"]:
            try:
                check(group, test)
                accepted = True
                result["accepted"] += 1
            except UwardError as e:
                accepted = False
                name = type(e).__name__
                result["refused"] += 1
                result["classes"][name] = result["classes"].get(name, 0) + 1
            if accepted != expected(group, test):
                result["wrong"].append(test["tcId"])
    return result


def _same(a, b):
    if a != b:
        raise ValueError("another result")


def _valid(group, test):
    return test["result"] == "valid"


def _no_192(group, test):
    # 192-bit keys are not ours; 8-byte keys are outside of RFC 3394's own use here
    return test["result"] == "valid" and group["keySize"] != 192


def _ccm(group, test):
    key, nonce, aad = unhex(test["key"]), unhex(test["iv"]), unhex(test["aad"])
    sealed = unhex(test["ct"] + test["tag"])
    size = group["tagSize"] // 8
    plain = aead.open(key, nonce, sealed, aad, size)
    _same(plain, unhex(test["msg"]))
    _same(aead.seal(key, nonce, plain, aad, size), sealed)


def _wrap(group, test):
    key, wrapped = unhex(test["key"]), unhex(test["ct"])
    plain = keywrap.unwrap(key, wrapped)
    _same(plain, unhex(test["msg"]))
    _same(keywrap.wrap(key, plain), wrapped)


def _hmac(group, test):
    tag = hash.hmac(unhex(test["key"]), unhex(test["msg"]))[: group["tagSize"] // 8]
    if not hash.equal(tag, unhex(test["tag"])):
        raise BadMac("another tag")


def _hkdf(group, test):
    ikm, salt, info = unhex(test["ikm"]), unhex(test["salt"]), unhex(test["info"])
    _same(hash.hkdf(ikm, salt, info, test["size"]), unhex(test["okm"]))


def _ecdsa(group, test, known=False):
    public = unhex(group["publicKey"]["uncompressed"])[1:]
    from uward.crypto import p256

    far = p256.far(public) if known else b""
    for _ in p256.verifying(public, hash.sha256(unhex(test["msg"])), unhex(test["sig"]), far):
        pass


def _ecdsa_far(group, test):
    """By a key whose multiple by 2**128 is known."""
    _ecdsa(group, test, True)


def ccm(path):
    return _run(path, _ccm, _no_192)


def wrap(path):
    return _run(path, _wrap, _no_192)


def hmac(path):
    return _run(path, _hmac, _valid)


def hkdf(path):
    return _run(path, _hkdf, _valid)


def ecdsa(path):
    return _run(path, _ecdsa, _valid)


def ecdsa_far(path):
    return _run(path, _ecdsa_far, _valid)
