"""`uward ca prepare|switch|finish|token`: one CA takes over from another, nobody locked out."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, strict, ui
from host_tools.errors import Refused
from host_tools.project import Project
from host_tools.verbs.ca import SERVICES, day_of, open_ca
from host_tools.verbs.options import Fleet, Passphrase

if TYPE_CHECKING:
    from host_tools.pki.ca import Ca

KINDS = ("root", "devices", "services", "birth")
Kind = Annotated[str, typer.Argument(metavar="|".join(KINDS), help="Which CA.")]
Force = Annotated[bool, typer.Option("--force", help="Also when somebody is locked out.")]


def prepare(kind: Kind, fleet: Fleet = None, passphrase_file: Passphrase = None) -> None:
    """Rollover, first step: make the next CA. It is trusted, and issues nothing yet.

    Needs the root's key. For `services` devices must hear of it before the next step:
    `uward trust renew && uward trust sign`.

    Example: uward ca prepare services
    """
    from host_tools.pki import rollover

    found = project.load(fleet)
    strict.choice("kind", kind, KINDS)
    base = rollover.prepare(open_ca(found, passphrase_file), kind, found.name)
    ui.result({"prepared": base})
    if kind == "services":
        ui.note("now `uward trust renew` and `uward trust sign`: devices must know it first")


def switch(
    kind: Kind, force: Force = False, fleet: Fleet = None, passphrase_file: Passphrase = None
) -> None:
    """Rollover, second step: the next CA issues from now on; the old one is still trusted.

    For `services` the broker and the collector get certificates of the new CA at once; devices
    that have not heard of it would refuse the broker, so they are looked at first.

    Example: uward ca switch services
    """
    found = project.load(fleet)
    strict.choice("kind", kind, KINDS)
    ui.result(do_switch(found, open_ca(found, passphrase_file), kind, force))


def finish(
    kind: Kind, force: Force = False, fleet: Fleet = None, passphrase_file: Passphrase = None
) -> None:
    """Rollover, last step: the old CA is not trusted any more.

    Refused while a certificate of its is in use.

    Example: uward ca finish devices
    """
    from host_tools.pki import rollover

    found = project.load(fleet)
    strict.choice("kind", kind, KINDS)
    old = rollover.finish(open_ca(found, passphrase_file), kind, force)
    ui.result({"finished": old})
    if kind == "services":
        ui.note("`uward trust renew` and `uward trust sign` take it out of the trust document")


def token(
    kind: Kind,
    uri: Annotated[str, typer.Argument(metavar="URI", help="PKCS#11, RFC 7512.")],
    fleet: Fleet = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Rollover into a token: prepare the next CA with a key that a PKCS#11 token makes and keeps.

    The PIN: pin-source in the URI, $UWARD_PKCS11_PIN, or asked for.

    Example: uward ca token devices 'pkcs11:token=ward;object=devices-2?module-path=/usr/lib/x.so'
    """
    from host_tools.pki import rollover
    from host_tools.signing import hsm

    found = project.load(fleet)
    strict.choice("kind", kind, KINDS)
    key = hsm.generate(uri)
    base = rollover.prepare(open_ca(found, passphrase_file), kind, found.name, key)
    ui.result({"prepared": base, "key": key.uri.text})


def do_switch(found: Project, ca: "Ca", kind: str, force: bool) -> dict[str, Any]:
    """Raises Refused when devices would be locked out, unless `force`."""
    from host_tools.pki import leaf, rollover

    behind = _behind(found, ca) if kind == "services" else []
    if behind and not force:
        raise Refused(
            f"{len(behind)} devices have not heard of the next CA, the first is {behind[0]}",
            "`uward trust sign` publishes it; wait until they connect, or --force",
        )
    made: dict[str, Any] = {"issues": rollover.switch(ca, kind)}
    if kind == "services":
        made |= {name: day_of(leaf.renew(ca, found.folder(name))) for name in SERVICES}
    return made


def _behind(found: Project, ca: "Ca") -> list[str]:
    """Active devices whose trust document does not pin every CA of today."""
    from host_tools import keyring
    from host_tools.fleet import service
    from host_tools.fleet.inventory import ACTIVE, Inventory, last_seen
    from host_tools.fleet.store import Store
    from host_tools.signing import trust

    wanted = set(ca.anchors())
    known = {
        version: set(trust.parse(trust.split(paper)[0]).anchors)
        for version, paper in keyring.documents(found).items()
    }
    seen: dict[str, Any] = {}
    if service.database_path(found).is_file():
        store = Store(service.database_path(found), read_only=True)
        seen = last_seen(store)
        store.close()
    devices = [one.id for one in Inventory(found.folder("devices")) if one.status == ACTIVE]
    versions = {name: seen[name].hello.trust_version if name in seen else 0 for name in devices}
    return [name for name in devices if not wanted <= known.get(versions[name], set[bytes]())]
