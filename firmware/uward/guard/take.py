"""Commands and policies as they come down: opened, queued, judged by a task of their own (S18).

Small: it is loaded deep in the session's C stack. What judges is loaded by the task, module by
module from the bottom, for an import inside an import takes a fifth of that stack (S20).
"""

import asyncio

from uward import lazy, limits, port
from uward.errors import CommandRefused, ProtocolError, UwardError

_NEEDED = "crypto.p256 guard.signed guard.roles guard.policy guard.envelope guard.book guard.judge"
_NEEDED += " guard.begin guard.result guard.core guard.command"


def take(agent, uplink, purpose, payload):
    """`down/cmd` and `down/policy`: sealed by the collector, so that a broker alone cannot make a
    device verify what it invented."""
    data = uplink.session.open(purpose, payload)
    if data is None:
        return  # heard before
    if type(data) is not bytes:
        raise ProtocolError("%s: expected bytes, got another" % purpose)
    if len(agent.waiting) >= limits.COMMANDS_WAITING:
        raise CommandRefused("cmd.busy", "%d commands wait already" % len(agent.waiting))
    agent.waiting.append((purpose, data))
    if agent.worker is None or agent.worker.done():
        agent.worker = asyncio.create_task(_work(agent, uplink))


async def _work(agent, uplink):
    """One after the other until nothing waits; whatever is refused becomes an event."""
    while agent.waiting:
        try:
            for name in _NEEDED.split():
                command = lazy.use(name)
                await port.sleep_ms(limits.COMMAND_BEAT_MS)
            await command.handed_down(agent, uplink, *agent.waiting[0])
        except UwardError as e:
            agent.refused(e)
        except MemoryError as e:
            agent.starved(e)
        except OSError as e:
            agent.event("flash.error", "%r" % e)
        agent.waiting.pop(0)
    lazy.spare()
