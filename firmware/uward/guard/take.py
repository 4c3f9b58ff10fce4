"""Commands and policies as they come down: opened, queued, judged by a task of their own (S18).

Small: it is loaded deep in the session's C stack. What judges is loaded by the task (S20).
"""

import asyncio

from uward import lazy, limits
from uward.errors import CommandRefused, ProtocolError, UwardError


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
    tries = 0
    while agent.waiting:
        try:
            command = lazy.use("guard.command")
            await command.handed_down(agent, uplink, *agent.waiting[0])
        except UwardError as e:
            agent.refused(e)
        except MemoryError as e:
            agent.starved(e)
            tries += 1
            if tries < limits.COMMAND_TRIES:
                lazy.spare()
                continue  # if its counter is spent already, it is refused as a replay
        except OSError as e:
            agent.event("flash.error", "%r" % e)
        agent.waiting.pop(0)
        tries = 0
    lazy.spare()
