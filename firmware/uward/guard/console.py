"""The service console (SPEC 12, S17): lines on USB or UART; no REPL stands behind them.

Open, it takes a hello and the answer to a challenge, no more. Unlocked by enough holders of role
admin or breakglass it takes the few requests of `guard.service`, until it was idle for 120 s.
Wrong answers lock it, twice as long each time; the count is in flash before an answer is judged.
"""

import asyncio
import select
import sys
from binascii import hexlify, unhexlify

from uward import lazy, limits, port
from uward.codec import cbor
from uward.compat import const
from uward.crypto.rng import random
from uward.errors import BadMac, CodecError, CommandRefused, UwardError
from uward.vault import keys, sealed

PATH = "/id/con"
UNLOCK = b"uward.unlock.v1"
_HELLO = b"uward.hello.v1"
_MARK = b"uward:"
_ENDS = b"\r\n"
_NONCE = const(16)  # bytes of ours; the host's are 16 to 32
_HOST_NONCE = const(32)
_NEVER = const(15)  # failures that are counted: the wait is at its maximum by then
_ENOENT = const(2)


def start(agent, uplink, ms, why):
    """Open the console for `ms` without a valid request. Does nothing while it is open."""
    if agent.console is None:
        agent.console = Console(agent, uplink, Line())
        agent.console.task = asyncio.create_task(agent.console.run(ms, why))


def unlock(agent, uplink, seconds):
    """The signed command `unlock-console`: open it without the strap. The challenge stays."""
    start(agent, uplink, seconds * 1000, "command")


def wait_ms(failures):
    """How long no answer is judged after so many wrong ones in a row: it doubles."""
    if not failures:
        return 0
    return min(limits.CONSOLE_LOCKOUT_MS << failures - 1, limits.CONSOLE_LOCKOUT_MAX_MS)


class Line:
    """The board's own line. `get` -> a whole line or None; what is too long is dropped."""

    def __init__(self):
        self._source = sys.stdin.buffer
        self._poll = select.poll()
        self._poll.register(self._source, select.POLLIN)
        self._held = bytearray()
        self._long = False

    def get(self):
        """At most CONSOLE_READ bytes are taken at once: all else goes on."""
        for _ in range(limits.CONSOLE_READ):
            if not self._poll.poll(0):
                return None
            byte = self._source.read(1)
            if not byte:
                return None
            if byte not in _ENDS:
                self._long = self._long or len(self._held) >= limits.CONSOLE_LINE
                if not self._long:
                    self._held.extend(byte)
                continue
            line, self._held = bytes(self._held), bytearray()
            if self._long:
                self._long = False
            elif line:
                return line
        return None

    def put(self, line):
        print(str(line, "ascii"))


class Console:
    """One opening of it. role: that unlocked it, or None; challenge: what a command must carry."""

    def __init__(self, agent, uplink, line):
        self.agent = agent
        self.uplink = uplink
        self.role = None
        self.challenge = None
        self.task = None
        self.then = None  # what follows when the answer is out
        self._line = line
        self._asked = None  # (host's nonce, ours) until it is answered, once
        self._until = 0

    async def run(self, ms, why):
        """Serve lines until nobody made a valid request for a while."""
        agent = self.agent
        self._until = agent.uptime() + ms
        port.console(True)
        agent.event("con.open", why)
        try:
            while agent.uptime() < self._until:
                line = self._line.get()
                if line is None:
                    await port.sleep_ms(limits.CONSOLE_POLL_MS)
                elif line.startswith(_MARK):
                    await self._serve(line[len(_MARK) :])
        finally:
            port.console(False)
            agent.console = None
        agent.event("con.close", why)

    def stay(self, ms=limits.CONSOLE_IDLE_MS):
        """A valid request: idle time begins anew."""
        self._until = self.agent.uptime() + ms

    async def _serve(self, text):
        try:
            reply = ["ok", await self._do(cbor.decode(_bytes(text)))]
        except UwardError as e:
            reply = ["no", e.event or "con.refused", str(e)]
        except MemoryError:
            reply = ["no", "heap.low", "too little heap, try again"]
        except OSError as e:
            reply = ["no", "flash.error", "%r" % e]
        lazy.spare()
        self._line.put(_MARK + hexlify(cbor.encode(reply)))
        if self.then is not None:
            await port.sleep_ms(limits.CONSOLE_FLUSH_MS)
            self.then()

    async def _do(self, value):
        if type(value) is not list or not value or type(value[0]) is not str:
            raise CodecError("console: expected [request, ...], got another")
        name = value[0]
        if name == "hello":
            await port.sleep_ms(limits.CONSOLE_HELLO_MS)  # it costs a signature
            return self._hello(*_typed(value, bytes))
        if name == "unlock":
            return self._unlock(*_typed(value, bytes))
        if name == "close":
            self.stay(0)
            return None
        if self.role is None:
            raise CommandRefused("con.locked", "expected hello and unlock before %s" % name)
        self.stay()
        return await lazy.use("guard.service").request(self, name, value[1:])

    # the challenge

    def _hello(self, host):
        """Who we are, signed, with a nonce of ours and the host's."""
        if not _NONCE <= len(host) <= _HOST_NONCE:
            raise CodecError("console: expected a nonce of 16..32 bytes, got another")
        root = keys.root()
        own = cbor.decode(sealed.read(root, "/id/dev"))
        self._asked = host, random(_NONCE)
        payload = {
            1: own[1],
            2: host,
            3: self._asked[1],
            4: self.agent.info["board"],
            5: -(-self._barred(self._failures(root)) // 1000),
            6: self.role is not None,
        }
        private = own[2]
        del own
        cose = lazy.use("codec.cose")
        sign = lazy.use("crypto.p256").sign
        return cose.sign1(
            lambda digest: sign(private, digest), cbor.encode(payload), external_aad=_HELLO
        )

    def _unlock(self, data):
        """The answer: COSE_Sign over [device id, host's nonce, our nonce]. -> the role."""
        agent, root = self.agent, keys.root()
        failures = self._failures(root)
        barred = self._barred(failures)
        if barred:
            raise CommandRefused("con.lockout", "%d s to wait" % -(-barred // 1000))
        if self._asked is None:
            raise CommandRefused("con.break", "expected hello before each answer")
        asked, self._asked = self._asked, None
        self._keep(root, failures + 1)
        try:
            role, who = self._judge(root, data, asked)
        except UwardError as e:
            raise self._wrong(failures + 1, e) from None
        except MemoryError:
            self._keep(root, failures)
            raise
        self._keep(root, 0)
        agent.barred = 0
        self.role, self.challenge = role, asked[1]
        self.stay()
        agent.event("con.unlock", "by " + who)
        return role

    def _judge(self, root, data, asked):
        device = cbor.decode(sealed.read(root, "/id/dev"))[1]
        signed = lazy.use("guard.signed")
        payload, blocks = signed.parse(data, limits.COMMAND_BYTES, "unlock")
        if payload != cbor.encode([device, asked[0], asked[1]]):
            raise CommandRefused("con.break", "expected an answer to this challenge, got another")
        held = lazy.use("guard.book").roles(self.agent, root)
        roles = lazy.use("guard.roles")
        wanted = roles.ADMIN, roles.BREAKGLASS
        found = []
        digest = signed.digest(payload, UNLOCK)
        for _ in roles.signers(blocks, digest, held, wanted, "con.break", found):
            pass  # the console has nobody else to let in
        for role in wanted:
            if roles.count(found, (role,)) >= held.threshold(role):
                return role, " and ".join(signer[0][:8].hex() for signer in found)
        raise CommandRefused("con.break", "expected more holders of role admin")

    def _wrong(self, failures, error):
        """-> what is answered. The wait counts from now, after a reset from boot."""
        agent = self.agent
        wait = wait_ms(failures)
        agent.barred = agent.uptime() + wait
        agent.event("con.break", "answer %d: %s" % (failures, error))
        agent.event("con.lockout", "%d wrong answers, %d s" % (failures, wait // 1000))
        return CommandRefused("con.break", "%s; %d s to wait" % (error, wait // 1000))

    def _barred(self, failures):
        """-> ms for which no answer is judged yet."""
        if self.agent.barred is None:
            self.agent.barred = wait_ms(failures)  # of uptime: the clock may be set by anybody
        return max(0, self.agent.barred - self.agent.uptime())

    def _failures(self, root):
        """Wrong answers in a row. A count that does not open counts as many."""
        try:
            return cbor.decode(sealed.read(root, PATH))[1]
        except OSError as e:
            if e.args[0] != _ENOENT:
                raise
            return 0
        except (BadMac, CodecError):
            return _NEVER

    def _keep(self, root, failures):
        sealed.write(root, PATH, cbor.encode({1: min(failures, _NEVER)}))


def _bytes(text):
    try:
        return unhexlify(text)
    except ValueError:
        raise CodecError("console: expected hexadecimal, got another") from None


def _typed(value, *kinds):
    """The arguments of a request. CodecError unless there are these, of these types."""
    if [type(item) for item in value[1:]] != list(kinds):
        raise CodecError("console: expected other arguments of %s" % value[0])
    return value[1:]
