"""`uward policy`: which command needs whom; written, explained, signed, published."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import DigestOut, Fleet, Force, Passphrase, SignatureIn

if TYPE_CHECKING:
    from host_tools.fleet.policies import Policy

FILE = Path("policy.toml")
COLUMNS = ("command", "who", "envelope", "cool_down", "valid", "offline")
STARTER = """\
# Who may command what, and what no signature can override. What is not named here is denied.
# `uward policy check` says it in words; `uward policy publish` signs it and hands it to devices.
version = 1  # raise it with each

[commands.reboot]
allow = [{ roles = ["operator", "admin"] }]

[commands.update-now]
allow = [{ roles = ["operator", "admin"] }]

[commands.quarantine]
allow = [{ roles = ["operator", "admin"] }]
offline = true  # also at the device's console, without a network

[commands.release]  # ends a quarantine
allow = [{ roles = ["admin"], factor = "presence" }, { roles = ["admin"], signers = 2 }]

[commands.unlock-console]
allow = [{ roles = ["admin"], factor = "presence" }, { roles = ["admin"], signers = 2 }]
arguments.seconds = { low = 30, high = 900 }

[commands.rotate-keys]
allow = [{ roles = ["operator", "admin"], signers = 2 }]

[commands.retire]
allow = [{ roles = ["operator", "admin"], signers = 2 }]

[commands.breakglass]
allow = [{ roles = ["breakglass"] }]
arguments.minutes = { low = 1, high = 30 }
offline = true

# A command of your own program, with its safety envelope:
# [commands.dose]
# allow = [
#   { roles = ["operator"], signers = 2 },
#   { roles = ["operator"], factor = "presence" },
#   { roles = ["operator"], emergency = true },
# ]
# arguments.ml = { low = 0, high = 5, step = 1, start = 0, total = 20, seconds = 86400 }
# cooldown_s = 600
"""


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE")] = FILE, force: Force = False
) -> None:
    """Write a policy to begin with.

    Example: uward policy init
    """
    from host_tools.pki import files

    files.write(file, STARTER.encode(), force=force)
    ui.result({"policy": str(file)})


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE")] = FILE, fleet: Fleet = None
) -> None:
    """Say in words what a policy grants, and what nobody could ever do.

    What devices would refuse is refused here. With a fleet around, the policy is compared with
    its holders.

    Example: uward policy check policy.toml
    """
    rows, notes = do_check(file, project.load(fleet) if fleet or project.nearest() else None)
    ui.table(rows, COLUMNS, "this policy allows nothing")
    for note in notes:
        ui.note(note)


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE")] = FILE,
    fleet: Fleet = None,
    role: Annotated[
        str, typer.Option(metavar="policy[:HOLDER]", help="Who signs. Default: who is here.")
    ] = "policy",
    digest_out: DigestOut = None,
    signature_in: SignatureIn = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Sign a policy and hand it to every device.

    It is published when enough holders of role `policy` have signed; until then a second person
    runs the same command. Versions only rise: devices never go back.

    Example: uward policy publish policy.toml
    """
    found = project.load(fleet)
    ui.result(do_publish(found, file, role, digest_out, signature_in, passphrase_file))


def show(fleet: Fleet = None) -> None:
    """Say in words what the published policy grants.

    Example: uward policy show
    """
    from host_tools.fleet import policy_file

    policy = published(project.load(fleet))
    ui.table(policy_file.explain(policy), COLUMNS, "this policy allows nothing")


def do_check(file: Path, found: Project | None) -> tuple[list[dict[str, Any]], list[str]]:
    """(a row a command, what nobody could do). Raises UsageError for a bad file."""
    from host_tools.fleet import policy_file

    policy = policy_file.load(file, int(time.time()))
    rows = policy_file.explain(policy)
    return rows, _impossible(policy, found) if found is not None else []


def do_publish(
    found: Project,
    file: Path,
    role: str,
    digest_out: Path | None = None,
    signature_in: Path | None = None,
    passphrase_file: Path | None = None,
) -> dict[str, Any]:
    """Add the signatures that are here; publish at the threshold."""
    from host_tools import keyring
    from host_tools.fleet import dispatch, policies, policy_file
    from host_tools.pki import files
    from host_tools.signing import cose, cosign, keys
    from host_tools.signing.roles import BY_NAME

    if role.partition(":")[0] != "policy":
        raise UsageError(f"role {role} signs no policies", "expected policy or policy:HOLDER")
    folder = found.folder("policy")
    policy = policy_file.load(file, int(time.time()))
    newest = dispatch.newest_policy(folder)
    if newest is not None and policy.version <= newest[0]:
        raise Refused(
            f"version {policy.version} is not above the published one, {newest[0]}",
            f"raise `version` in {file}",
        )
    draft = folder / f"{policy.version}.part"
    data = _draft(draft, policy)
    payload, _ = cosign.split(policies.KIND, data)
    if digest_out is not None:
        files.write(digest_out, cosign.to_be_signed(policies.KIND, payload, cose.ESP256))
    elif signature_in is not None:
        public = keyring.public_key(found, role)
        signature = files.read(signature_in, "signature")
        data = cosign.attach(policies.KIND, data, public, signature)
    else:
        passphrase = keys.passphrase_from(passphrase_file)
        for signer in keyring.signers(found, role, passphrase, []):
            data = cosign.add_signature(policies.KIND, data, signer)
    holders = keyring.current_trust(found).holders(BY_NAME["policy"])
    payload, blocks = cosign.split(policies.KIND, data)
    names = cosign.signed_by(policies.KIND, payload, blocks, holders)
    facts = {"policy": policy.version, "commands": len(policy.rules), "signed_by": names}
    if len(names) < holders.threshold:
        files.write(draft, data, force=True)
        ui.note(f"not published yet: {holders.threshold - len(names)} more of role policy")
        return {**facts, "published": False, "file": os.path.relpath(draft)}
    if len(data) > policies.BYTES:
        raise Refused(f"the policy is {len(data)} bytes, devices take {policies.BYTES}")
    files.write(folder / str(policy.version), data)
    draft.unlink(missing_ok=True)
    return {**facts, "published": True, "file": os.path.relpath(folder / str(policy.version))}


def published(found: Project) -> "Policy":
    """The newest published policy. Raises Refused when there is none."""
    from host_tools.fleet import dispatch, policies
    from host_tools.signing import cosign

    newest = dispatch.newest_policy(found.folder("policy"))
    if newest is None:
        raise Refused("this fleet has no policy: devices deny every command", "uward policy init")
    return policies.parse(cosign.split(policies.KIND, newest[1])[0])


def _draft(path: Path, policy: "Policy") -> bytes:
    """What another person has signed of this very policy, else a new one without signatures."""
    from dataclasses import replace

    from host_tools.fleet import policies
    from host_tools.signing import cosign

    if path.is_file():
        data = path.read_bytes()
        begun = policies.parse(cosign.split(policies.KIND, data)[0])
        if replace(policy, issued=begun.issued) != begun:
            raise Refused(
                f"{path}: another policy of version {policy.version} is half signed there",
                "remove that file, or raise the version",
            )
        return data
    return cosign.sign(policies.KIND, policies.encode(policy), [])


def _impossible(policy: "Policy", found: Project) -> list[str]:
    notes: list[str] = []
    for name, rule in policy.rules.items():
        counts = [
            len({holder for role in way.roles for holder in found.roles[role].holders})
            for way in rule.ways
        ]
        if all(count < way.signers for count, way in zip(counts, rule.ways, strict=True)):
            notes.append(f"nobody can {name}: it needs more holders than uward.toml names")
    return notes
