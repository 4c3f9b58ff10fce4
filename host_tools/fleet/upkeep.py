"""What runs out is renewed in time by `uward serve`, as far as the CA's keys are here.

Revocation lists at half their life; the broker's and the collector's certificates for the same key
when a month is left. Where a key is elsewhere an event says what ends when.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timezone

from cryptography import x509

from host_tools.errors import HostError
from host_tools.fleet import acl, limits
from host_tools.fleet.answers import Notice
from host_tools.pki import files, leaf
from host_tools.pki.ca import ISSUING, Ca
from host_tools.pki.profiles import CRL_LIFE, RENEW_LEAF
from host_tools.project import Project
from host_tools.signing.keys import passphrase_from

OnEvent = Callable[[Notice], None]


def open_ca(fleet: Project) -> Ca:
    """The fleet's CA, its keys as far as they need no passphrase or $UWARD_PASSPHRASE opens."""
    return Ca(fleet.folder("ca"), passphrase=passphrase_from(None))


def renew_crls(fleet: Project, tell: OnEvent) -> None:
    """Renew the revocation lists that have lived half their life.

    mosquitto refuses everybody once a list is past its nextUpdate, and devices obey nobody.
    """
    ca = open_ca(fleet)
    now = datetime.now(timezone.utc)
    for issuer in [base for kind in ISSUING for base in ca.shelf.bases(kind)]:
        crl = x509.load_der_x509_crl(files.read(ca.crl_path(issuer), f"CRL of the {issuer} CA"))
        until = crl.next_update_utc
        if until is not None and until - now > CRL_LIFE / 2:
            continue
        try:
            ca.renew_crl(issuer)
        except HostError as error:
            _say(tell, f"crl.stale the list of the {issuer} CA ends {until}: {error}")


def renew_leaves(fleet: Project, tell: OnEvent) -> list[str]:
    """Renew the services' certificates that have less than a month left; returns which."""
    ca = open_ca(fleet)
    now = datetime.now(timezone.utc)
    renewed: list[str] = []
    for name in ("broker", acl.COLLECTOR):
        folder = fleet.folder(name)
        until = leaf.certificate(folder).not_valid_after_utc
        if until - now > RENEW_LEAF:
            continue
        try:
            leaf.renew(ca, folder)
            renewed.append(name)
            _say(tell, f"cert.renewed that of the {name}")
        except HostError as error:
            _say(tell, f"cert.ending that of the {name} ends {until}: {error}")
    return renewed


async def keep(fleet: Project, tell: OnEvent, reload: Callable[[], None]) -> None:
    """For ever, once an hour. reload: our own client shows its new certificate from now on."""
    while True:
        try:
            renew_crls(fleet, tell)
            if acl.COLLECTOR in renew_leaves(fleet, tell):
                reload()
        except HostError as error:
            _say(tell, f"cert.failed {error}")
        await asyncio.sleep(limits.UPKEEP_S)


def _say(tell: OnEvent, text: str) -> None:
    tell(Notice(time.time(), "", "event", text))
