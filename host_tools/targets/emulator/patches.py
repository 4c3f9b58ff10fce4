"""How the emulator's core is made fast: edits of the Cython sources that its wheel ships.

Each edit is (file, regular expression, replacement); it must match, or the build is refused: a new
wheel then runs on the core that it ships. Words in `.pxi` files lie beside this file in `native/`.
"""

HEADER = (
    "# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, "
    "initializedcheck=False, nonecheck=False, embedsignature=False\n"
)

NARROW = """
cdef inline unsigned int u32(long long v) noexcept:
    return <unsigned int> v
cdef inline int s32(long long v) noexcept:
    return <int> <unsigned int> v
"""

_CORE = "native/_cortex_m0_core.pyx"
_CIMPORT_BIT = r"(?m)^from rp2040py.native._bit cimport .*$"

# XIP cache model: opcode fetches, loads, and LDM out of flash
_XIP = [
    (
        _CORE,
        r"(?m)^        self\.cycles \+= delta_cycles\n        return delta_cycles$",
        "        if (opcode_pc >> 24) == 0x10:\n"
        "            delta_cycles += xip_access(opcode_pc)\n"
        "        self.cycles += delta_cycles\n"
        "        return delta_cycles",
    ),
    (
        _CORE,
        r"(?m)^        return 4 if write else 3\n    return 1$",
        "        return 4 if write else 3\n"
        "    if (addr >> 24) == 0x10:\n"
        "        return 1 + xip_access(addr)\n"
        "    return 1",
    ),
    (
        _CORE,
        r"(?m)^(            core\.registers\[i\] = core\.rp2040\.read_uint32\(address\)\n)"
        r"(            address \+= 4\n            delta_cycles \+= 1\n    # Write back)",
        r"\1            if (address >> 24) == 0x10:\n"
        r"                delta_cycles += xip_access(address)\n\2",
    ),
]

# Memory and divider in place instead of through calls; conditions inlined; no callback at each BL
_INLINE = [
    ("native/_cortex_m0_core.pxd", r"unsigned int\[:\]", "unsigned int[::1]"),
    ("native/_rp2040.pxd", r"unsigned char\[:\]", "unsigned char[::1]"),
    ("native/_rp2040.pxd", r"unsigned int\[:\]", "unsigned int[::1]"),
    (
        "native/_rp2040.pxd",
        r"(?m)^    cdef dict __dict__$",
        "    cdef dict __dict__\n"
        "    cdef unsigned int div_dividend, div_divisor, div_quotient, div_remainder, div_dirty",
    ),
    ("native/_rp2040.pyx", _CIMPORT_BIT, 'include "words.pxi"'),
    (_CORE, _CIMPORT_BIT, "from rp2040py.native._rp2040 cimport RP2040\n" + NARROW),
    (
        _CORE,
        r"(?m)^# Narrow-to-32-bit helpers\.$",
        'include "divider.pxi"\ninclude "memory.pxi"\ninclude "xip.pxi"\n# helpers',
    ),
    (_CORE, r"core\.rp2040\.read_uint32\(", "f_rd32(core.rp2040, "),
    (_CORE, r"core\.rp2040\.read_uint16\(", "f_rd16(core.rp2040, "),
    (_CORE, r"core\.rp2040\.read_uint8\(", "f_rd8(core.rp2040, "),
    (_CORE, r"core\.rp2040\.write_uint32\(", "f_wr32(core.rp2040, "),
    (_CORE, r"core\.rp2040\.write_uint16\(", "f_wr16(core.rp2040, "),
    (_CORE, r"core\.rp2040\.write_uint8\(", "f_wr8(core.rp2040, "),
    (_CORE, r"self\.rp2040\.read_uint16\(", "f_rd16(self.rp2040, "),
    (_CORE, r"(?m)^    return core\.check_condition\(cond\)", "    return f_cond(core, cond)"),
    (_CORE, r"(?m)^    core\.bl_taken\(core, (True|False)\)\n", ""),
]

# The Wi-Fi chip's bus: edges are counted in C (`_gspi.pyx`), words are handled as before
_BUS = "external/cyw43/bus.py"
_WIFI = [
    (
        _BUS,
        r"(?m)^class GSPIBus:$",
        "from rp2040py.native._gspi import Wire\n\n\nclass GSPIBus(Wire):",
    ),
    (
        _BUS,
        r"(?m)^        word = self\._word\(word\)  # undo",
        "        self._on_word(word)\n\n    def _on_word(self, word: int) -> None:\n\\g<0>",
    ),
    (
        _BUS,
        r"(?m)^        clk_pin\.add_listener\(_clk_listener\)$",
        "        self._wire_data = data_pin\n        clk_pin.add_listener(self._clock_edge)",
    ),
]

EDITS = _XIP + _INLINE + _WIFI

# Plain Python modules on the hot path, compiled as they are
COMPILED = (
    "external/cyw43/bus",
    "external/cyw43/net",
    "peripherals/dma",
    "sio",
    "peripherals/timer",
    "utils/fifo",
    "peripherals/ssi",
    "peripherals/usb",
    "peripherals/peripheral",
    "utils/timer32",
    "peripherals/ppb",
    "irq",
)
COMPILED_HEADER = "# cython: language_level=3, annotation_typing=False, binding=True\n"
