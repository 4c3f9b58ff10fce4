"""uWard: a security agent for medical-IoT prototypes. `from uward import Agent`."""

import sys


def __getattr__(name):
    """`Agent` and submodules, imported when they are asked for: stage 0 does without the agent."""
    if name[0] == "_":
        raise AttributeError(name)
    if name == "Agent":
        from uward.agent import Agent

        return Agent
    __import__("uward." + name)
    return sys.modules["uward." + name]
