"""The one place where the port is chosen: `from uward import port` gives the same names anywhere.

Names: reset, watchdog, unique_id, entropy; now, set_time, ticks_ms, ticks_diff, ticks_add,
sleep_ms; heap_free, collect_each, block_ok, tls_heap_ok; strap, console; wifi, wifi_join,
wifi_posture, hard_timer, i2c; TLS_CHECKS_START, INTERPRETER.
"""

import sys

if sys.platform == "rp2":
    from uward.port.rp2 import *  # noqa: F403
elif sys.platform == "esp32":
    from uward.port.esp32 import *  # noqa: F403
else:
    from uward.port.unix import *  # noqa: F403
