"""What a maker declares beside sensors: commands, the safe state, presence, settings (SPEC 11).

    @agent.command("dose", ml=(0.1, 2.0))
    def dose(ml): ...

    @agent.safe
    def stop(): ...

Small, because it stays: who may command what is judged in `guard/`, loaded for each command.
"""

from uward import files, lazy, limits
from uward.errors import CodecError, UwardError

_FILES = ("/id/cmd", "/id/policy0", "/id/policy1")  # what commands and policies left (SPEC 3)


class Orders:
    """Part of `Agent`.

    orders: command -> (function, {argument: (low, high)}); recent: what envelopes remember of this
    boot; chosen: settings; policy: version in force; quarantined; unsafe: why actuators must rest,
    or ""; emergency: ms of uptime until which break-glass holds, 0 without; present: -> whether
    the button is pressed;
    waiting: [(purpose, bytes)] that came and are not judged yet; worker: the task that does;
    obeying: a command is under way, named so in events; book, held: what guard/ read of flash, as
    plain values.
    """

    def __init__(self):
        self.orders = {}
        self.recent = {}
        self.chosen = {}
        self.policy = 0
        self.quarantined = False
        self.unsafe = ""
        self.emergency = 0
        self.present = None
        self.waiting = []
        self.worker = None
        self.book = None
        self.held = None
        self.obeying = False
        self.named = ""
        self._safe = []
        self._watched = False

    def command(self, name, **limits_):
        """Decorator: what the signed command `name` does, called with its arguments by name.

        `argument=(low, high)` bounds a number in the device itself: a policy can only narrow it.
        An argument without bounds is `argument=None`. It returns a text for the result, or None.
        """
        if not 0 < len(name) <= limits.COMMAND_NAME:
            raise CodecError("command: expected 1..%d characters" % limits.COMMAND_NAME)

        def register(function):
            self.orders[name] = (function, limits_)
            return function

        return register

    def safe(self, function):
        """Decorator: puts actuators into their safe state; quarantine and a bad policy call it."""
        self._safe.append(function)
        return function

    def presence(self, function):
        """Decorator: says whether somebody presses the button of this device now."""
        self.present = function
        return function

    def setting(self, name, default=None):
        """-> the value that the signed command `set` chose, or the default."""
        return self.chosen.get(name, default)

    @property
    def actuators(self):
        """Whether the program may move anything: not in quarantine, not under a bad policy.

        Break-glass lifts a quarantine while it holds.
        """
        return not self.unsafe and (not self.quarantined or self.emergency > 0)

    def rest(self, reason):
        """Actuators rest, sensing goes on: there is no policy that can be believed (S16)."""
        self.event("policy.bad", reason)
        if not self.unsafe:
            self.unsafe = reason
            self.make_safe()

    def obedience(self):
        """-> [policy version, flags] for hello: 1 quarantine, 2 actuators rest, 4 emergency."""
        flags = self.quarantined | (not self.actuators) << 1 | (self.emergency > 0) << 2
        return [0 if self.unsafe else self.policy, flags]

    def make_safe(self):
        """Call what the maker declared as safe."""
        for function in self._safe:
            try:
                function()
            except Exception as e:  # whatever a maker's function raises
                self.event("safe.error", "%r" % e)

    def begin_orders(self):
        """At boot: quarantine, settings, a command that a reset interrupted (S16)."""
        if any(files.exists(path) for path in _FILES):
            try:
                lazy.use("guard.begin").begin(self)
            except (UwardError, OSError) as e:
                self.rest(str(e) or repr(e))
            lazy.drop("guard.", "boot.store", "boot.record")
        if self.quarantined:
            self.make_safe()
        if files.exists("/id/retire"):
            lazy.use("vault.erase").resume(self)

    def begin_emergency(self, ms):
        """Break-glass: for so long, and never beyond a reset."""
        self.emergency = self.uptime() + min(ms, limits.EMERGENCY_MS)
        if not self._watched:
            self._watched = True
            self.duties.append(self._watch)

    def _watch(self):
        if self.emergency and self.uptime() >= self.emergency:
            self.emergency = 0
            self.event("cmd.breakglass_end", "the emergency is over")
            if not self.actuators:
                self.make_safe()
