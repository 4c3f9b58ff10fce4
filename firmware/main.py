# Development entry: runs the maker's app; Ctrl-C stops it. In `factory` the console waits.
import micropython

micropython.kbd_intr(-1)
try:
    from uward.boot import handover

    develop = handover.info["state"] == handover.DEVELOPMENT
except (ImportError, KeyError):  # stage 0 mounted no image, and said why
    develop = False
micropython.kbd_intr(3)
if develop:
    handover.start()
