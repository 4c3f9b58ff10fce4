"""Measurements on the emulated Pico W, in its own microseconds: `make bench`."""
