"""People with keys, a policy, and a board that they command: for tests of guard/ (SPEC 11)."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from uward.vault import sealed

from host_tools.fleet import commands, plain, policies
from host_tools.fleet.inventory import Device
from host_tools.fleet.policies import Policy, Rule, Way
from host_tools.signing import cose, cosign, keys

ROOT_SECRET = bytes(range(32))
DEVICE = "test0device0000001"
NOW = 1_800_000_000
CHALLENGE = b"c" * 16
TRUST = 3  # version of the trust document in force
PEOPLE = {
    "anna": 3, "bert": 3, "carl": 4, "dora": 4, "paul": 8, "petra": 8, "eve": 9,
    "outsider": None,
}  # fmt: skip
CHOICES = ("green", "red", 3, True)
POLICY = Policy(
    1,
    NOW - 1000,
    {
        "reboot": Rule((Way(("operator", "admin")),), {}, window_s=3600),
        "set": Rule(
            (Way(("admin",)),),
            {
                "interval": {"low": 1, "high": 60},
                "light": {"choices": list(CHOICES)},
                "gain": {"low": 0.5, "high": 4.0, "step": 0.5, "start": 1.0},
            },
        ),
        "dose": Rule(
            (
                Way(("operator",), 2),
                Way(("operator",), 1, "presence"),
                Way(("operator",), 1, "totp"),
                Way(("operator",), 1, "none", True),
            ),
            {"ml": {"low": 0, "high": 50, "step": 10, "start": 0, "total": 60, "seconds": 600}},
            cooldown_s=60,
        ),
        "light": Rule((Way(("operator",)),), {}),
        "fails": Rule((Way(("operator",)),), {}),
        "quarantine": Rule((Way(("operator", "admin")),), {}, offline=True),
        "release": Rule((Way(("admin",), 2),), {}),
        "update-now": Rule((Way(("admin",)),), {}),
        "retire": Rule((Way(("admin",), 2),), {}),
        "totp": Rule((Way(("operator", "admin"), 2),), {}),
        "breakglass": Rule(
            (Way(("breakglass",)),), {"minutes": {"low": 1, "high": 30}}, offline=True
        ),
    },
)


PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Kit:
    """Keys in `folder`, made once; public: name -> cose.PublicKey."""

    def __init__(self, folder):
        self.folder = folder
        self.public = {name: keys.create_esp256(folder / name) for name in PEOPLE}
        self.signers = {name: keys.load_signer(folder / name) for name in PEOPLE}
        self.identity = ec.derive_private_key(77, ec.SECP256R1())
        key = cose.ec2_key(self.identity.public_key())
        raw = (key.members[-2] + key.members[-3]).hex()
        self.record = Device(DEVICE, "unix", "00", raw, raw, "00", NOW)
        self._counter = 100

    def far(self, name):
        """2**128 times a public key as x | 2y (SPEC 6), from the private one."""
        scalar = self.signers[name].private.private_numbers().private_value
        key = ec.derive_private_key((scalar << 128) % ORDER, ec.SECP256R1())
        numbers = key.public_key().public_numbers()
        return numbers.x.to_bytes(32, "big") + (2 * numbers.y % PRIME).to_bytes(32, "big")

    def roles(self, version=TRUST, expires=NOW + 10**6, without=(), thresholds=None, far=False):
        """The content of /id/roles, encoded from SPEC 6 and not by the device's code.

        far: with what makes the check of a signature shorter; or a function of the name."""
        held = {}
        multiple = far if callable(far) else self.far if far else lambda name: b""
        for role in (3, 4, 8, 9):
            records = b""
            for name, its in PEOPLE.items():
                if its == role and name not in without:
                    public = self.public[name]
                    xy = public.members[-2] + public.members[-3]
                    records += public.thumbprint + hashlib.sha256(name.encode()).digest()[:8] + xy
                    records += multiple(name)
            held[role] = [(thresholds or {}).get(role, 1), records]
        value = {1: version, 2: expires, 3: held}
        return plain.encode({**value, 4: 168} if far else value)

    def policy(self, policy=POLICY, who=("paul",), check=True):
        payload = policies.encode(policy) if check else policies.encode_unchecked(policy)
        return cosign.sign(policies.KIND, payload, [self.signers[name] for name in who])

    def command(self, name, arguments=None, who=("anna",), **changes):
        """-> COSE_Sign bytes; the first of `who` is the author, unless `author` names another."""
        self._counter += 1
        author = changes.pop("author", who[0] if who else "anna")
        kind = changes.pop("kind", commands.KIND)
        fields = {
            "device": DEVICE,
            "author": self.public[author].thumbprint,
            "counter": self._counter,
            "not_before": NOW - 30,
            "not_after": NOW + 300,
            "challenge": CHALLENGE,
        }
        fields.update(changes)
        payload = commands.Command(name=name, arguments=arguments or {}, **fields).encode()
        return cosign.sign(kind, payload, [self.signers[person] for person in who])

    def place(self, folder, **roles):
        """A folder with what guard/ needs of an enrolled board. -> its path."""
        root = folder / "root"
        (root / "id").mkdir(parents=True)
        (root / "id/root").write_bytes(ROOT_SECRET)
        secret = self.identity.private_numbers().private_value.to_bytes(32, "big")
        own = {1: DEVICE, 2: secret, 3: secret, 4: b"", 5: b""}
        sealed.write(ROOT_SECRET, "/id/dev", plain.encode(own), str(root))
        sealed.write(ROOT_SECRET, "/id/roles", self.roles(**roles), str(root))
        return str(root)

    def adopt(self, root, policy, version=1):
        """The policy as the device at `root` keeps it after it was accepted."""
        rules = plain.decode(cosign.split(policies.KIND, policy)[0], "policy")[3]
        payload = cosign.split(policies.KIND, policy)[0]
        start = policy.index(payload) + len(payload) - len(plain.encode(rules))
        (root / "id/policy1").write_bytes(policy)
        book = {
            1: {}, 2: None, 3: False, 4: {}, 6: {}, 7: {},
            5: [version, hashlib.sha256(policy).digest(), 1, start],
        }  # fmt: skip
        sealed.write(ROOT_SECRET, "/id/cmd", plain.encode(book), str(root))

    def result(self, data):
        """A device's answer, its signature checked -> commands.Result."""
        return commands.parse_result(bytes.fromhex(data), self.record)


def outcomes(out):
    """-> (outcome, event) of each result."""
    return [(result.outcome, result.event) for result in out]
