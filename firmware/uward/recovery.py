"""Entry of the recovery image (S4): the link and the signed-update path; no app, no console."""

from uward.agent import Agent

Agent().run()
