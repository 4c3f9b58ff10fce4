"""Who may say what: the ten roles of a trust document (SPEC 4, S7), in one table."""

from dataclasses import dataclass

from host_tools.errors import UsageError
from host_tools.signing.cose import ECDH_SS_HKDF_256, ESP256, HSS_LMS

TRUST_DOMAIN = b"uward.trust.v1"
ENROL_DOMAIN = b"uward.enrol.v1"
TIME_DOMAIN = b"uward.time.v1"
LOG_DOMAIN = b"uward.log.v1"
ATTEST_DOMAIN = b"uward.att.v1"
HELLO_DOMAIN = b"uward.hello.v1"
UNLOCK_DOMAIN = b"uward.unlock.v1"
RENEW_DOMAIN = b"uward.renew.v1"


@dataclass(frozen=True)
class Role:
    """A role: its number on the wire, what its keys may be, and what it may say.

    `algorithms` lists what a key may be for, the one that `uward init` makes first.
    """

    number: int
    name: str
    algorithms: tuple[int, ...]
    says: str


ROLES = (
    Role(0, "root", (HSS_LMS, ESP256), "who holds every role: the trust document"),
    Role(1, "release", (HSS_LMS, ESP256), "this code may run (with approver)"),
    Role(2, "approver", (ESP256, HSS_LMS), "a second person agrees to a release"),
    Role(3, "operator", (ESP256,), "everyday commands"),
    Role(4, "admin", (ESP256,), "commands that change the device"),
    Role(5, "time", (ESP256,), "what time it is"),
    Role(6, "collector", (ECDH_SS_HKDF_256,), "reads what devices seal"),
    Role(7, "log", (ESP256,), "this release is in the log"),
    Role(8, "policy", (ESP256,), "which commands are allowed when"),
    Role(9, "breakglass", (ESP256,), "one emergency access"),
)
BY_NUMBER = {role.number: role for role in ROLES}
BY_NAME = {role.name: role for role in ROLES}
ROOT, RELEASE, APPROVER, COLLECTOR, LOG = (
    BY_NAME[name] for name in ("root", "release", "approver", "collector", "log")
)


def role(name: str) -> Role:
    """The role of this name. Raises UsageError with the known ones."""
    if name not in BY_NAME:
        raise UsageError(f"no role {name!r}; there are {', '.join(BY_NAME)}")
    return BY_NAME[name]
