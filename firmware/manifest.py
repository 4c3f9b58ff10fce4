"""Freeze the agent into a custom MicroPython build: FROZEN_MANIFEST=.../firmware/manifest.py.

The maker's program stays outside: it is updated with the signed image. Ports choose at run time.
"""
# ruff: noqa: F821 - the build defines these functions

require("asyncio")
require("umqtt.simple")
package("uward", base_path=".")
