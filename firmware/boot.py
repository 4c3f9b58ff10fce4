# Stage 0's first statements (S5). Short: until the first one ran, Ctrl-C opens the console.
import micropython

micropython.kbd_intr(-1)
console = None
try:
    import sys

    sys.path[:] = [".frozen"]  # what the firmware holds, no file
    import os

    for name in os.listdir("/s0"):
        if name not in ("image.mpy", "stage0.mpy", "pins"):
            os.remove("/s0/" + name)  # it would hide a module of stage 0
    sys.path[:] = ["/s0"]
    import image

    console = image.boot()
    if console is not True:
        console()  # the program: here, at the bottom of the C stack
except BaseException:
    pass
while console is not True:
    try:
        import machine

        machine.reset()
    except BaseException:
        pass
micropython.kbd_intr(3)
