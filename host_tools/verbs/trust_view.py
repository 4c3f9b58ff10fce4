"""Trust documents and drafts as people read them: `uward trust show`, and after each change."""

import datetime
from typing import TYPE_CHECKING, Any

from host_tools import ui
from host_tools.errors import UsageError
from host_tools.project import Project

if TYPE_CHECKING:
    from host_tools.signing.trust import TrustDocument
    from host_tools.trustbook import Standing


def shown(found: Project, version: int | None) -> dict[str, Any]:
    """What one document says. Raises UsageError for a version that is not there."""
    from host_tools import keyring, trustbook
    from host_tools.signing import trust

    papers = keyring.documents(found)
    keyring.current_trust(found)  # every step from the first is checked
    chosen = version or max(papers)
    if chosen not in papers:
        raise UsageError(f"no trust document {chosen}; there are 1 to {max(papers)}")
    facts = _facts(trust.parse(trust.split(papers[chosen])[0]))
    draft = trustbook.standing(found)
    return {**facts, "draft": None if draft is None else row(draft)}


def row(standing: "Standing") -> dict[str, Any]:
    return {
        "version": standing.document.version,
        "expires": _day(standing.document.expires),
        "changes": standing.changes,
        "signed_by": standing.signed,
        "missing": standing.missing,
        "published": standing.published,
    }


def _facts(document: "TrustDocument") -> dict[str, Any]:
    from host_tools.signing import cose
    from host_tools.signing.roles import ROLES

    rows: list[dict[str, Any]] = []
    for role in ROLES:
        held = document.roles.get(role.number)
        for name, key in held.keys if held else ():
            rows.append(
                {
                    "role": role.name,
                    "threshold": held.threshold if held else 0,
                    "holder": name,
                    "algorithm": cose.ALGORITHMS[key.alg],
                    "thumbprint": key.thumbprint.hex(),
                }
            )
    return {
        "version": document.version,
        "fleet_id": document.fleet_id.hex(),
        "issued": _day(document.issued),
        "expires": _day(document.expires),
        "ca_certificates": len(document.anchors),
        "revoked": [item.hex() for item in document.revoked],
        "keys": rows,
    }


def text(facts: dict[str, Any]) -> str:
    plain = {key: value for key, value in facts.items() if key not in ("keys", "draft")}
    lines = [ui.lines(plain)]
    for one in facts["keys"]:
        who = f"{one['role']}:{one['holder']}"
        lines.append(f"{who:24} {one['algorithm']:18} {one['thumbprint'][:16]}")
    if facts["draft"]:
        lines.append("draft")
        lines.append(ui.lines(facts["draft"]))
    return "\n".join(lines)


def _day(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date().isoformat()
