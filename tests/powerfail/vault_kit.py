"""Cut one step of a vault at every flash operation, on CPython."""

import copy

from uward import limits
from uward.vault import journal, mount, segment

from tests.powerfail.lfs_flash import MODES, Files, Flash, PowerCut, put_under

KEY = bytes(range(32))
BLOCKS = 48


class Bench:
    """A vault on flash that can be set back. open(report, create) -> Store, Queue or Audit."""

    def __init__(self, monkeypatch, make, segment=2000, tails=4):
        monkeypatch.setattr(limits, "VAULT_SEGMENT", segment)
        monkeypatch.setattr(limits, "VAULT_TAILS", tails)
        self._monkeypatch = monkeypatch
        self._make = make
        self.reports = []
        self.cuts = 0

    def __deepcopy__(self, memo):
        return self  # vaults are copied, not what they report to

    def blank(self):
        """-> a new vault on blank flash."""
        self.power(Flash(BLOCKS), True)
        return self.open(True)

    def power(self, flash, blank=False):
        files = Files(flash)
        self.flash = flash
        disk = (files.format() if blank else files).mount()
        put_under(self._monkeypatch, disk, journal, mount, segment)

    def open(self, create=False):
        return self._make(self.report, create)

    def report(self, *what):
        self.reports.append(what)

    def cut(self, image, before, step, at, mode):
        """Run step(vault) on a copy of `before` over `image`; -> whether the power went."""
        self.power(Flash(image=image))
        self.flash.cut = (at, mode)
        try:
            step(copy.deepcopy(before))
        except PowerCut:
            self.power(Flash(image=self.flash.image()))
            self.cuts += 1
            return True
        return False

    def sweep(self, vault, step, check, modes=MODES):
        """step(vault) cut at each operation; check(vault mounted after it). Then uncut."""
        image = self.flash.image()
        for mode in modes:
            at = 1
            while self.cut(image, vault, step, at, mode):
                check(self.open())
                at += 1
        self.power(Flash(image=image))
        step(vault)
