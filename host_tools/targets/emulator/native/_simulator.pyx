"""The batch loop with typed access to clock and PIO. It ends after 5 ms of wall time, after a
million steps, or soon after `simulator.stopped` was set."""
import time

from rp2040py.native._cortex_m0_core cimport CortexM0Core
from rp2040py.native._pio cimport RPPIO
from rp2040py.native._rp2040 cimport RP2040
from rp2040py.native._simulation_clock cimport SimulationClock

cdef double CYCLE_NANOS = 8.0
cdef double BUDGET_S = 0.005
cdef int CHECK_EVERY = 2048
cdef long CEILING = 1000000


def execute_batch(simulator: object, tick_batch: int) -> None:
    cdef RP2040 rp2040 = simulator.rp2040
    cdef CortexM0Core core = rp2040.core
    cdef SimulationClock clock = simulator.clock
    cdef RPPIO pio0 = rp2040.pio[0]
    cdef RPPIO pio1 = rp2040.pio[1]
    cdef long i = 0
    cdef int since = 0
    cdef double start, then, idle
    cdef long long cycles
    if rp2040.run_pin_low:
        return
    start = time.monotonic()
    while i < CEILING:
        since += 1
        if since >= CHECK_EVERY or core.waiting:
            if since >= CHECK_EVERY:
                since = 0
                if time.monotonic() - start > BUDGET_S:
                    break
            if simulator.stopped:
                break
        if core.waiting:
            idle = clock.nanos_to_next_alarm
            clock.tick(idle)
            cycles = <long long>(idle / CYCLE_NANOS) or 1
        else:
            cycles = core.execute_instruction()
            then = clock._nanos_counter + cycles * CYCLE_NANOS
            if clock._next_alarm is not None and clock._next_alarm.nanos <= then:
                clock.tick(cycles * CYCLE_NANOS)
            else:
                clock._nanos_counter = then
        if not pio0.stopped:  # its `advance`, called only when a machine is due
            pio0.cycle_fp += cycles << 8
            if pio0.cycle_fp >= pio0.next_due_fp:
                pio0.advance(0)
        if not pio1.stopped:
            pio1.cycle_fp += cycles << 8
            if pio1.cycle_fp >= pio1.next_due_fp:
                pio1.advance(0)
        i += 1
