# Development entry: runs the maker's app; Ctrl-C stops it. In `factory` the console waits.
# MicroPython runs it after boot.py, with boot.py's names; after a boot.py that is gone it closes.
import micropython

micropython.kbd_intr(-1)
develop = False
if "console" in globals():
    try:
        from uward.boot import handover

        develop = handover.info["state"] == handover.DEVELOPMENT
    except (ImportError, KeyError):  # stage 0 mounted no image, and said why
        pass
else:  # a checkout, or an enrolled board without its boot.py
    import os

    import machine

    while "id" in os.listdir("/"):
        machine.reset()
micropython.kbd_intr(3)
if develop:
    program = handover.start()
    if program:
        program()
