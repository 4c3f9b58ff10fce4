"""P-256 point arithmetic for RP2040: a field machine in Thumb-1 code, driven by short programs.

`fvm(program, registers, times)` works on 32-byte little-endian numbers modulo P in Montgomery form
(R = 2**256). An instruction is 4 bytes: operation, destination, source, source.

    1 MUL  d = a b / R      2 SQR  d = a a / R      3 ADD  d = a + b      4 SUB  d = a - b
    5 END  run again until `times` are done

Results are below 2**256 and may be P too large: MUL by 1 at the end reduces them. The words are
assembled once and kept as data; tests run each instruction against big integers on the emulated
board, the programs against a model of this machine, and the whole against Wycheproof.

Registers: 0-2 the sum X, W = 2Y, Z; 3-12 scratch; 13-17 the operand: affine x, w, or Jacobian
X, W, Z, Z**2, Z**3; 18 zero; 19 one (plain); 20 R**2 mod P.
"""
# ruff: noqa: F821 - viper's and the assembler's names are the compiler's

from micropython import const  # CPython stops here: ImportError

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_WIDTH_G = const(7)  # bits of a signed digit: the table holds 1, 3 .. 63 times G
_WIDTH_Q = const(5)  # 1, 3 .. 15 times Q
_ODD_Q = const(8)
_ENTRY = const(160)  # bytes of one multiple of Q: X, W, Z, Z**2, Z**3
_STEPS = const(300)  # bytes: 3 for each of at most 38 + 44 additions, and 5 rests

_END = b"\x05\x00\x00\x00"
_NEGATE = b"\x04\x0e\x12\x0e"  # r14 = r18 - r14
_ENTER = (
    b"\x01\x00\x00\x14"  # r0 = r0 * r20
    b"\x01\x01\x01\x14"  # r1 = r1 * r20
    b"\x01\x02\x02\x14"  # r2 = r2 * r20
    b"\x05\x00\x00\x00"
)
_LEAVE = (
    b"\x01\x00\x00\x13"  # r0 = r0 * r19
    b"\x01\x01\x01\x13"  # r1 = r1 * r19
    b"\x01\x02\x02\x13"  # r2 = r2 * r19
    b"\x05\x00\x00\x00"
)
# The sum doubled: 4 multiplications, 4 squarings (a = -3).
_DOUBLE = (
    b"\x02\x03\x02\x02"  # r3 = r2 ** 2
    b"\x02\x04\x01\x01"  # r4 = r1 ** 2
    b"\x01\x05\x00\x04"  # r5 = r0 * r4
    b"\x04\x06\x00\x03"  # r6 = r0 - r3
    b"\x03\x07\x00\x03"  # r7 = r0 + r3
    b"\x01\x06\x06\x07"  # r6 = r6 * r7
    b"\x03\x07\x06\x06"  # r7 = r6 + r6
    b"\x03\x07\x07\x06"  # r7 = r7 + r6
    b"\x02\x00\x07\x07"  # r0 = r7 ** 2
    b"\x03\x06\x05\x05"  # r6 = r5 + r5
    b"\x04\x00\x00\x06"  # r0 = r0 - r6
    b"\x01\x02\x01\x02"  # r2 = r1 * r2
    b"\x04\x06\x05\x00"  # r6 = r5 - r0
    b"\x01\x06\x07\x06"  # r6 = r7 * r6
    b"\x03\x06\x06\x06"  # r6 = r6 + r6
    b"\x02\x04\x04\x04"  # r4 = r4 ** 2
    b"\x04\x01\x06\x04"  # r1 = r6 - r4
    b"\x05\x00\x00\x00"
)
# The sum plus the affine operand: 8 M + 3 S. Z becomes 0, and stays it, where both were equal.
_ADD = (
    b"\x02\x03\x02\x02"  # r3 = r2 ** 2
    b"\x01\x04\x0d\x03"  # r4 = r13 * r3
    b"\x04\x04\x04\x00"  # r4 = r4 - r0
    b"\x01\x05\x02\x03"  # r5 = r2 * r3
    b"\x01\x05\x0e\x05"  # r5 = r14 * r5
    b"\x04\x05\x05\x01"  # r5 = r5 - r1
    b"\x02\x06\x04\x04"  # r6 = r4 ** 2
    b"\x03\x06\x06\x06"  # r6 = r6 + r6
    b"\x03\x06\x06\x06"  # r6 = r6 + r6
    b"\x01\x07\x04\x06"  # r7 = r4 * r6
    b"\x01\x08\x00\x06"  # r8 = r0 * r6
    b"\x02\x00\x05\x05"  # r0 = r5 ** 2
    b"\x04\x00\x00\x07"  # r0 = r0 - r7
    b"\x04\x00\x00\x08"  # r0 = r0 - r8
    b"\x04\x00\x00\x08"  # r0 = r0 - r8
    b"\x04\x09\x08\x00"  # r9 = r8 - r0
    b"\x01\x09\x05\x09"  # r9 = r5 * r9
    b"\x01\x0a\x01\x07"  # r10 = r1 * r7
    b"\x04\x09\x09\x0a"  # r9 = r9 - r10
    b"\x03\x01\x09\x09"  # r1 = r9 + r9
    b"\x01\x02\x02\x04"  # r2 = r2 * r4
    b"\x03\x02\x02\x02"  # r2 = r2 + r2
    b"\x05\x00\x00\x00"
)
# The sum plus the Jacobian operand: 11 M + 3 S.
_ADD_FULL = (
    b"\x02\x03\x02\x02"  # r3 = r2 ** 2
    b"\x01\x0b\x00\x10"  # r11 = r0 * r16
    b"\x01\x0c\x01\x11"  # r12 = r1 * r17
    b"\x01\x04\x0d\x03"  # r4 = r13 * r3
    b"\x04\x04\x04\x0b"  # r4 = r4 - r11
    b"\x01\x05\x02\x03"  # r5 = r2 * r3
    b"\x01\x05\x0e\x05"  # r5 = r14 * r5
    b"\x04\x05\x05\x0c"  # r5 = r5 - r12
    b"\x02\x06\x04\x04"  # r6 = r4 ** 2
    b"\x03\x06\x06\x06"  # r6 = r6 + r6
    b"\x03\x06\x06\x06"  # r6 = r6 + r6
    b"\x01\x07\x04\x06"  # r7 = r4 * r6
    b"\x01\x08\x0b\x06"  # r8 = r11 * r6
    b"\x02\x00\x05\x05"  # r0 = r5 ** 2
    b"\x04\x00\x00\x07"  # r0 = r0 - r7
    b"\x04\x00\x00\x08"  # r0 = r0 - r8
    b"\x04\x00\x00\x08"  # r0 = r0 - r8
    b"\x04\x09\x08\x00"  # r9 = r8 - r0
    b"\x01\x09\x05\x09"  # r9 = r5 * r9
    b"\x01\x0a\x0c\x07"  # r10 = r12 * r7
    b"\x04\x09\x09\x0a"  # r9 = r9 - r10
    b"\x03\x01\x09\x09"  # r1 = r9 + r9
    b"\x01\x02\x02\x0f"  # r2 = r2 * r15
    b"\x01\x02\x02\x04"  # r2 = r2 * r4
    b"\x03\x02\x02\x02"  # r2 = r2 + r2
    b"\x05\x00\x00\x00"
)
# Z**2 and Z**3 of the sum beside it: what the table of Q keeps.
_SQUARES = (
    b"\x02\x03\x02\x02"  # r3 = r2 ** 2
    b"\x01\x04\x02\x03"  # r4 = r2 * r3
    b"\x05\x00\x00\x00"
)
_PROGRAMS = (_ADD, _NEGATE + _ADD, _ADD_FULL, _NEGATE + _ADD_FULL)
_NEGATE += _END

_CONSTANTS = (  # registers 18-20
    bytes(32)
    + b"\x01"
    + bytes(31)
    + b"\x03\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xfb\xff\xff\xff"
    + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xfd\xff\xff\xff\x04\x00\x00\x00"
)
_ONE = (  # R mod P: 1 in Montgomery form
    b"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\x00\x00\x00\x00"
)


@micropython.asm_thumb
def fvm(r0, r1, r2):
    data(
        2,
        0xB09D,
        0x901C,
        0x9119,
        0x921B,
        0x981C,
        0x9018,
        0x9C18,
        0x7825,
        0x7861,
        0x78A2,
        0x78E3,
        0x3404,
        0x9418,
        0x9C19,
        0x0149,
        0x1909,
    )
    data(
        2,
        0x0152,
        0x1912,
        0x015B,
        0x191B,
        0x911A,
        0x3D01,
        0xD00A,
        0x3D01,
        0xD00B,
        0x3D01,
        0xD00C,
        0x3D01,
        0xD05C,
        0x981B,
        0x3801,
        0x901B,
    )
    data(
        2,
        0xD1E2,
        0xE0A8,
        0xF000,
        0xF8A9,
        0xE024,
        0xF000,
        0xFAC3,
        0xE021,
        0x6815,
        0x681E,
        0x19AD,
        0x9510,
        0x6855,
        0x685E,
        0x4175,
        0x9511,
    )
    data(
        2,
        0x6895,
        0x689E,
        0x4175,
        0x9512,
        0x68D5,
        0x68DE,
        0x4175,
        0x9513,
        0x6915,
        0x691E,
        0x4175,
        0x9514,
        0x6955,
        0x695E,
        0x4175,
        0x9515,
    )
    data(
        2,
        0x6995,
        0x699E,
        0x4175,
        0x9516,
        0x69D5,
        0x69DE,
        0x4175,
        0x9517,
        0x2500,
        0x416D,
        0x991A,
        0x426A,
        0x0FD3,
        0x2400,
        0x9E10,
        0x1AB6,
    )
    data(
        2,
        0x600E,
        0x9E11,
        0x4196,
        0x604E,
        0x9E12,
        0x4196,
        0x608E,
        0x9E13,
        0x41A6,
        0x60CE,
        0x9E14,
        0x41A6,
        0x610E,
        0x9E15,
        0x41A6,
        0x614E,
    )
    data(
        2,
        0x9E16,
        0x419E,
        0x618E,
        0x9E17,
        0x4196,
        0x61CE,
        0x41A5,
        0xD09D,
        0x991A,
        0x680E,
        0x9610,
        0x684E,
        0x9611,
        0x688E,
        0x9612,
        0x68CE,
    )
    data(
        2,
        0x9613,
        0x690E,
        0x9614,
        0x694E,
        0x9615,
        0x698E,
        0x9616,
        0x69CE,
        0x9617,
        0xE7CF,
        0x6815,
        0x681E,
        0x1BAD,
        0x9510,
        0x6855,
        0x685E,
    )
    data(
        2,
        0x41B5,
        0x9511,
        0x6895,
        0x689E,
        0x41B5,
        0x9512,
        0x68D5,
        0x68DE,
        0x41B5,
        0x9513,
        0x6915,
        0x691E,
        0x41B5,
        0x9514,
        0x6955,
        0x695E,
    )
    data(
        2,
        0x41B5,
        0x9515,
        0x6995,
        0x699E,
        0x41B5,
        0x9516,
        0x69D5,
        0x69DE,
        0x41B5,
        0x9517,
        0x41AD,
        0x991A,
        0x462A,
        0x0FD3,
        0x2400,
        0x9E10,
    )
    data(
        2,
        0x18B6,
        0x600E,
        0x9E11,
        0x4156,
        0x604E,
        0x9E12,
        0x4156,
        0x608E,
        0x9E13,
        0x4166,
        0x60CE,
        0x9E14,
        0x4166,
        0x610E,
        0x9E15,
        0x4166,
    )
    data(
        2,
        0x614E,
        0x9E16,
        0x415E,
        0x618E,
        0x9E17,
        0x4156,
        0x61CE,
        0x4165,
        0xD010,
        0x680E,
        0x9610,
        0x684E,
        0x9611,
        0x688E,
        0x9612,
        0x68CE,
    )
    data(
        2,
        0x9613,
        0x690E,
        0x9614,
        0x694E,
        0x9615,
        0x698E,
        0x9616,
        0x69CE,
        0x9617,
        0xE7D0,
        0xE73A,
        0xF000,
        0xFB7C,
        0x46F4,
        0x4618,
        0x4669,
    )
    data(
        2,
        0xCA78,
        0xC178,
        0xCA78,
        0xC178,
        0xC878,
        0xC178,
        0xC878,
        0xC178,
        0x2500,
        0x2600,
        0x2700,
        0x9800,
        0x9908,
        0xF000,
        0xF9CA,
        0x9510,
    )
    data(
        2,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
        0x9909,
        0xF000,
        0xF9C2,
        0x9801,
        0x9908,
        0xF000,
        0xF9BE,
        0x9511,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
    )
    data(
        2,
        0x990A,
        0xF000,
        0xF9B6,
        0x9801,
        0x9909,
        0xF000,
        0xF9B2,
        0x9802,
        0x9908,
        0xF000,
        0xF9AE,
        0x9512,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
    )
    data(
        2,
        0x990B,
        0xF000,
        0xF9A6,
        0x9801,
        0x990A,
        0xF000,
        0xF9A2,
        0x9802,
        0x9909,
        0xF000,
        0xF99E,
        0x9803,
        0x9908,
        0xF000,
        0xF99A,
        0x2100,
    )
    data(
        2,
        0x9810,
        0x182D,
        0x414E,
        0x414F,
        0x9513,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
        0x990C,
        0xF000,
        0xF98D,
        0x9801,
        0x990B,
        0xF000,
        0xF989,
    )
    data(
        2,
        0x9802,
        0x990A,
        0xF000,
        0xF985,
        0x9803,
        0x9909,
        0xF000,
        0xF981,
        0x9804,
        0x9908,
        0xF000,
        0xF97D,
        0x2100,
        0x9811,
        0x182D,
        0x414E,
    )
    data(
        2,
        0x414F,
        0x9514,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
        0x990D,
        0xF000,
        0xF970,
        0x9801,
        0x990C,
        0xF000,
        0xF96C,
        0x9802,
        0x990B,
        0xF000,
    )
    data(
        2,
        0xF968,
        0x9803,
        0x990A,
        0xF000,
        0xF964,
        0x9804,
        0x9909,
        0xF000,
        0xF960,
        0x9805,
        0x9908,
        0xF000,
        0xF95C,
        0x2100,
        0x9812,
        0x182D,
    )
    data(
        2,
        0x414E,
        0x414F,
        0x9515,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
        0x990E,
        0xF000,
        0xF94F,
        0x9801,
        0x990D,
        0xF000,
        0xF94B,
        0x9802,
        0x990C,
    )
    data(
        2,
        0xF000,
        0xF947,
        0x9803,
        0x990B,
        0xF000,
        0xF943,
        0x9804,
        0x990A,
        0xF000,
        0xF93F,
        0x9805,
        0x9909,
        0xF000,
        0xF93B,
        0x9806,
        0x9908,
    )
    data(
        2,
        0xF000,
        0xF937,
        0x2100,
        0x9813,
        0x182D,
        0x414E,
        0x414F,
        0x9810,
        0x182D,
        0x414E,
        0x414F,
        0x9516,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
    )
    data(
        2,
        0x990F,
        0xF000,
        0xF926,
        0x9801,
        0x990E,
        0xF000,
        0xF922,
        0x9802,
        0x990D,
        0xF000,
        0xF91E,
        0x9803,
        0x990C,
        0xF000,
        0xF91A,
        0x9804,
    )
    data(
        2,
        0x990B,
        0xF000,
        0xF916,
        0x9805,
        0x990A,
        0xF000,
        0xF912,
        0x9806,
        0x9909,
        0xF000,
        0xF90E,
        0x9807,
        0x9908,
        0xF000,
        0xF90A,
        0x2100,
    )
    data(
        2,
        0x9814,
        0x182D,
        0x414E,
        0x414F,
        0x9811,
        0x182D,
        0x414E,
        0x414F,
        0x9810,
        0x1A2D,
        0x418E,
        0x418F,
        0x9517,
        0x4635,
        0x463E,
        0x17FF,
    )
    data(
        2,
        0x9801,
        0x990F,
        0xF000,
        0xF8F5,
        0x9802,
        0x990E,
        0xF000,
        0xF8F1,
        0x9803,
        0x990D,
        0xF000,
        0xF8ED,
        0x9804,
        0x990C,
        0xF000,
        0xF8E9,
    )
    data(
        2,
        0x9805,
        0x990B,
        0xF000,
        0xF8E5,
        0x9806,
        0x990A,
        0xF000,
        0xF8E1,
        0x9807,
        0x9909,
        0xF000,
        0xF8DD,
        0x2100,
        0x9815,
        0x182D,
        0x414E,
    )
    data(
        2,
        0x414F,
        0x9812,
        0x182D,
        0x414E,
        0x414F,
        0x9811,
        0x1A2D,
        0x418E,
        0x418F,
        0x9810,
        0x182D,
        0x414E,
        0x414F,
        0x9510,
        0x4635,
        0x463E,
    )
    data(
        2,
        0x17FF,
        0x9802,
        0x990F,
        0xF000,
        0xF8C4,
        0x9803,
        0x990E,
        0xF000,
        0xF8C0,
        0x9804,
        0x990D,
        0xF000,
        0xF8BC,
        0x9805,
        0x990C,
        0xF000,
    )
    data(
        2,
        0xF8B8,
        0x9806,
        0x990B,
        0xF000,
        0xF8B4,
        0x9807,
        0x990A,
        0xF000,
        0xF8B0,
        0x2100,
        0x9816,
        0x182D,
        0x414E,
        0x414F,
        0x9813,
        0x182D,
    )
    data(
        2,
        0x414E,
        0x414F,
        0x9812,
        0x1A2D,
        0x418E,
        0x418F,
        0x9811,
        0x182D,
        0x414E,
        0x414F,
        0x9511,
        0x4635,
        0x463E,
        0x17FF,
        0x9803,
        0x990F,
    )
    data(
        2,
        0xF000,
        0xF897,
        0x9804,
        0x990E,
        0xF000,
        0xF893,
        0x9805,
        0x990D,
        0xF000,
        0xF88F,
        0x9806,
        0x990C,
        0xF000,
        0xF88B,
        0x9807,
        0x990B,
    )
    data(
        2,
        0xF000,
        0xF887,
        0x2100,
        0x9817,
        0x182D,
        0x414E,
        0x414F,
        0x9814,
        0x182D,
        0x414E,
        0x414F,
        0x9813,
        0x1A2D,
        0x418E,
        0x418F,
        0x9812,
    )
    data(
        2,
        0x182D,
        0x414E,
        0x414F,
        0x9512,
        0x4635,
        0x463E,
        0x17FF,
        0x9804,
        0x990F,
        0xF000,
        0xF86E,
        0x9805,
        0x990E,
        0xF000,
        0xF86A,
        0x9806,
    )
    data(
        2,
        0x990D,
        0xF000,
        0xF866,
        0x9807,
        0x990C,
        0xF000,
        0xF862,
        0x2100,
        0x9815,
        0x182D,
        0x414E,
        0x414F,
        0x9814,
        0x1A2D,
        0x418E,
        0x418F,
    )
    data(
        2,
        0x9813,
        0x182D,
        0x414E,
        0x414F,
        0x9513,
        0x4635,
        0x463E,
        0x17FF,
        0x9805,
        0x990F,
        0xF000,
        0xF84D,
        0x9806,
        0x990E,
        0xF000,
        0xF849,
    )
    data(
        2,
        0x9807,
        0x990D,
        0xF000,
        0xF845,
        0x2100,
        0x9816,
        0x182D,
        0x414E,
        0x414F,
        0x9815,
        0x1A2D,
        0x418E,
        0x418F,
        0x9814,
        0x182D,
        0x414E,
    )
    data(
        2,
        0x414F,
        0x9514,
        0x4635,
        0x463E,
        0x17FF,
        0x9806,
        0x990F,
        0xF000,
        0xF830,
        0x9807,
        0x990E,
        0xF000,
        0xF82C,
        0x2100,
        0x9817,
        0x182D,
    )
    data(
        2,
        0x414E,
        0x414F,
        0x9816,
        0x1A2D,
        0x418E,
        0x418F,
        0x9815,
        0x182D,
        0x414E,
        0x414F,
        0x9515,
        0x4635,
        0x463E,
        0x17FF,
        0x9807,
        0x990F,
    )
    data(
        2,
        0xF000,
        0xF817,
        0x2100,
        0x9817,
        0x1A2D,
        0x418E,
        0x418F,
        0x9816,
        0x182D,
        0x414E,
        0x414F,
        0x9516,
        0x4635,
        0x463E,
        0x17FF,
        0x2100,
    )
    data(
        2,
        0x9817,
        0x182D,
        0x414E,
        0x414F,
        0x9517,
        0x4635,
        0x463E,
        0x17FF,
        0x4760,
        0xB282,
        0x0C00,
        0x0C0B,
        0xB289,
        0x4614,
        0x434A,
        0x435C,
    )
    data(
        2,
        0x4343,
        0x4341,
        0x2000,
        0x1864,
        0x4140,
        0x0400,
        0x181B,
        0x0421,
        0x0C24,
        0x1852,
        0x4163,
        0x18AD,
        0x415E,
        0x2000,
        0x4147,
        0x4770,
    )
    data(
        2,
        0xB282,
        0x0C00,
        0x0C0B,
        0xB289,
        0x4614,
        0x434A,
        0x435C,
        0x4343,
        0x4341,
        0x2000,
        0x1864,
        0x4140,
        0x0400,
        0x181B,
        0x0421,
        0x0C24,
    )
    data(
        2,
        0x1852,
        0x4163,
        0x18AD,
        0x415E,
        0x2000,
        0x4147,
        0x18AD,
        0x415E,
        0x4147,
        0x4770,
        0x0C01,
        0xB280,
        0x4602,
        0x460B,
        0x4342,
        0x4348,
    )
    data(
        2,
        0x434B,
        0x0441,
        0x0BC0,
        0x1852,
        0x4143,
        0x18AD,
        0x415E,
        0x2000,
        0x4147,
        0x4770,
        0x46F4,
        0x4669,
        0xCA78,
        0xC178,
        0xCA78,
        0xC178,
    )
    data(
        2,
        0x2500,
        0x2600,
        0x2700,
        0x9800,
        0xF7FF,
        0xFFE4,
        0x9510,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
        0x9901,
        0xF7FF,
        0xFFC2,
        0x9511,
        0x4635,
    )
    data(
        2,
        0x463E,
        0x17FF,
        0x9800,
        0x9902,
        0xF7FF,
        0xFFBA,
        0x9801,
        0xF7FF,
        0xFFD1,
        0x9512,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
        0x9903,
        0xF7FF,
    )
    data(
        2,
        0xFFAF,
        0x9801,
        0x9902,
        0xF7FF,
        0xFFAB,
        0x2100,
        0x9810,
        0x182D,
        0x414E,
        0x414F,
        0x9513,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
        0x9904,
    )
    data(
        2,
        0xF7FF,
        0xFF9E,
        0x9801,
        0x9903,
        0xF7FF,
        0xFF9A,
        0x9802,
        0xF7FF,
        0xFFB1,
        0x2100,
        0x9811,
        0x182D,
        0x414E,
        0x414F,
        0x9514,
        0x4635,
    )
    data(
        2,
        0x463E,
        0x17FF,
        0x9800,
        0x9905,
        0xF7FF,
        0xFF8A,
        0x9801,
        0x9904,
        0xF7FF,
        0xFF86,
        0x9802,
        0x9903,
        0xF7FF,
        0xFF82,
        0x2100,
        0x9812,
    )
    data(
        2,
        0x182D,
        0x414E,
        0x414F,
        0x9515,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
        0x9906,
        0xF7FF,
        0xFF75,
        0x9801,
        0x9905,
        0xF7FF,
        0xFF71,
        0x9802,
    )
    data(
        2,
        0x9904,
        0xF7FF,
        0xFF6D,
        0x9803,
        0xF7FF,
        0xFF84,
        0x2100,
        0x9813,
        0x182D,
        0x414E,
        0x414F,
        0x9810,
        0x182D,
        0x414E,
        0x414F,
        0x9516,
    )
    data(
        2,
        0x4635,
        0x463E,
        0x17FF,
        0x9800,
        0x9907,
        0xF7FF,
        0xFF59,
        0x9801,
        0x9906,
        0xF7FF,
        0xFF55,
        0x9802,
        0x9905,
        0xF7FF,
        0xFF51,
        0x9803,
    )
    data(
        2,
        0x9904,
        0xF7FF,
        0xFF4D,
        0x2100,
        0x9814,
        0x182D,
        0x414E,
        0x414F,
        0x9811,
        0x182D,
        0x414E,
        0x414F,
        0x9810,
        0x1A2D,
        0x418E,
        0x418F,
    )
    data(
        2,
        0x9517,
        0x4635,
        0x463E,
        0x17FF,
        0x9801,
        0x9907,
        0xF7FF,
        0xFF38,
        0x9802,
        0x9906,
        0xF7FF,
        0xFF34,
        0x9803,
        0x9905,
        0xF7FF,
        0xFF30,
    )
    data(
        2,
        0x9804,
        0xF7FF,
        0xFF47,
        0x2100,
        0x9815,
        0x182D,
        0x414E,
        0x414F,
        0x9812,
        0x182D,
        0x414E,
        0x414F,
        0x9811,
        0x1A2D,
        0x418E,
        0x418F,
    )
    data(
        2,
        0x9810,
        0x182D,
        0x414E,
        0x414F,
        0x9510,
        0x4635,
        0x463E,
        0x17FF,
        0x9802,
        0x9907,
        0xF7FF,
        0xFF14,
        0x9803,
        0x9906,
        0xF7FF,
        0xFF10,
    )
    data(
        2,
        0x9804,
        0x9905,
        0xF7FF,
        0xFF0C,
        0x2100,
        0x9816,
        0x182D,
        0x414E,
        0x414F,
        0x9813,
        0x182D,
        0x414E,
        0x414F,
        0x9812,
        0x1A2D,
        0x418E,
    )
    data(
        2,
        0x418F,
        0x9811,
        0x182D,
        0x414E,
        0x414F,
        0x9511,
        0x4635,
        0x463E,
        0x17FF,
        0x9803,
        0x9907,
        0xF7FF,
        0xFEF3,
        0x9804,
        0x9906,
        0xF7FF,
    )
    data(
        2,
        0xFEEF,
        0x9805,
        0xF7FF,
        0xFF06,
        0x2100,
        0x9817,
        0x182D,
        0x414E,
        0x414F,
        0x9814,
        0x182D,
        0x414E,
        0x414F,
        0x9813,
        0x1A2D,
        0x418E,
    )
    data(
        2,
        0x418F,
        0x9812,
        0x182D,
        0x414E,
        0x414F,
        0x9512,
        0x4635,
        0x463E,
        0x17FF,
        0x9804,
        0x9907,
        0xF7FF,
        0xFED3,
        0x9805,
        0x9906,
        0xF7FF,
    )
    data(
        2,
        0xFECF,
        0x2100,
        0x9815,
        0x182D,
        0x414E,
        0x414F,
        0x9814,
        0x1A2D,
        0x418E,
        0x418F,
        0x9813,
        0x182D,
        0x414E,
        0x414F,
        0x9513,
        0x4635,
    )
    data(
        2,
        0x463E,
        0x17FF,
        0x9805,
        0x9907,
        0xF7FF,
        0xFEBA,
        0x9806,
        0xF7FF,
        0xFED1,
        0x2100,
        0x9816,
        0x182D,
        0x414E,
        0x414F,
        0x9815,
        0x1A2D,
    )
    data(
        2,
        0x418E,
        0x418F,
        0x9814,
        0x182D,
        0x414E,
        0x414F,
        0x9514,
        0x4635,
        0x463E,
        0x17FF,
        0x9806,
        0x9907,
        0xF7FF,
        0xFEA2,
        0x2100,
        0x9817,
    )
    data(
        2,
        0x182D,
        0x414E,
        0x414F,
        0x9816,
        0x1A2D,
        0x418E,
        0x418F,
        0x9815,
        0x182D,
        0x414E,
        0x414F,
        0x9515,
        0x4635,
        0x463E,
        0x17FF,
        0x9807,
    )
    data(
        2,
        0xF7FF,
        0xFEA8,
        0x2100,
        0x9817,
        0x1A2D,
        0x418E,
        0x418F,
        0x9816,
        0x182D,
        0x414E,
        0x414F,
        0x9516,
        0x4635,
        0x463E,
        0x17FF,
        0x2100,
    )
    data(2, 0x9817, 0x182D, 0x414E, 0x414F, 0x9517, 0x4635, 0x463E, 0x17FF, 0x4760, 0xB01D)


@micropython.viper
def _digits(scalar, out, width: int):
    """32 bytes little endian -> out: at each bit 0 or a signed odd digit, 272 bytes."""
    k = ptr8(scalar)
    o = ptr8(out)
    carry = 0
    i = 0
    while i < 257:
        bit = 0
        if i < 256:
            bit = (k[i >> 3] >> (i & 7)) & 1
        if bit == carry:
            i += 1
        else:
            digit = carry
            j = 0
            while j < width:
                t = i + j
                if t < 256:
                    digit += ((k[t >> 3] >> (t & 7)) & 1) << j
                j += 1
            carry = 0
            if digit >> (width - 1):
                digit -= 1 << width
                carry = 1
            o[i] = digit
            i += width


@micropython.viper
def _schedule(base, other, out) -> int:
    """Digits of both scalars -> triples (doublings, index, kind) from the top; their bytes.

    kind: 0 add G, 1 subtract G, 2 add Q, 3 subtract Q, 4 only double; index: which odd multiple.
    """
    a = ptr8(base)
    b = ptr8(other)
    o = ptr8(out)
    end = 0
    doublings = 0
    i = 256
    while i >= 0:
        kind = 0
        while kind < 3:
            digit = int(a[i])
            if kind:
                digit = int(b[i])
            if digit:
                o[end] = doublings
                o[end + 2] = kind
                if digit & 128:
                    digit = 256 - digit
                    o[end + 2] = kind + 1
                o[end + 1] = digit >> 1
                end += 3
                doublings = 0
            kind += 2
        if end and i:
            doublings += 1
        if doublings == 255 or i == 0:
            o[end] = doublings
            o[end + 2] = 4
            end += 3
            doublings = 0
        i -= 1
    return end


def combine(u1, u2, x, y):
    """u1 G + u2 (x, y) -> (X, W, Z); Z = 0 is infinity. Scalars 0..n-1 (Shamir, wNAF)."""
    registers = bytearray(576) + _CONSTANTS
    view = memoryview(registers)
    table = _odd_multiples(registers, view, x, y) if u2 else b""
    digits = []
    for scalar, width in ((u1, _WIDTH_G), (u2, _WIDTH_Q)):
        out = bytearray(272)
        _digits(scalar.to_bytes(32, "little"), out, width)
        digits.append(out)
    steps = bytearray(_STEPS)
    _run(registers, view, table, steps, _schedule(digits[0], digits[1], steps))
    fvm(_LEAVE, registers, 1)
    point = [int.from_bytes(view[o : o + 32], "little") % _P for o in (0, 32, 64)]
    if point[2]:
        return point
    # Infinity, or a sum of equal points, which only crafted input meets: exactly, once more
    from uward.crypto import _p256_group

    return _p256_group.combine(u1, u2, x, y)


def _run(registers, view, table, steps, end):
    """Run the schedule; the sum starts as the first operand."""
    affine = view[416:480]
    full = view[416:576]
    base = memoryview(_TABLE)
    started = False
    for o in range(0, end, 3):
        doublings = steps[o]
        kind = steps[o + 2]
        if doublings and started:
            fvm(_DOUBLE, registers, doublings)
        if kind == 4:
            continue
        i = steps[o + 1]
        if kind < 2:
            i <<= 6
            affine[:] = base[i : i + 64]
        else:
            i *= _ENTRY
            full[:] = table[i : i + _ENTRY]
        if started:
            fvm(_PROGRAMS[kind], registers, 1)
            continue
        started = True
        if kind & 1:
            fvm(_NEGATE, registers, 1)
        view[0:96] = full[0:96]
        if kind < 2:
            view[64:96] = _ONE


def _odd_multiples(registers, view, x, y):
    """(x, y) -> 1, 3 .. 15 times it, `_ENTRY` bytes each."""
    view[0:32] = x.to_bytes(32, "little")
    view[32:64] = (2 * y % _P).to_bytes(32, "little")
    view[64:96] = _CONSTANTS[32:64]
    fvm(_ENTER, registers, 1)
    fvm(_SQUARES, registers, 1)
    out = memoryview(bytearray(_ENTRY * _ODD_Q))
    out[:_ENTRY] = view[:_ENTRY]
    fvm(_DOUBLE, registers, 1)
    fvm(_SQUARES, registers, 1)
    view[416:576] = view[0:160]
    view[0:96] = out[0:96]
    for o in range(_ENTRY, _ENTRY * _ODD_Q, _ENTRY):
        fvm(_ADD_FULL, registers, 1)
        fvm(_SQUARES, registers, 1)
        out[o : o + _ENTRY] = view[:_ENTRY]
    return out


_TABLE = (
    b"\x3c\x14\xa9\x18\xd4\x30\xe7\x79\x01\xb6\xed\x5f\xfc\x95\xba\x75\x10\x25\x62\x77\x2b\x73\xfb"
    b"\x79\xc6\x55\x37\xa5\x76\x5f\x90\x18\x15\xac\x2a\x9d\xaf\xa6\xe4\xbb\xb9\xc8\x33\x74\xc8\x71"
    b"\x95\x16\x4b\xe6\x43\xba\x11\x0d\xd1\xa5\x0a\xbb\x10\x4b\x31\xfe\xe3\x0a\x27\xc1\xeb\x4e\x90"
    b"\x3f\xac\xff\xfb\x81\x7d\x08\x4a\xf8\x27\xb0\x98\xbc\xcb\x87\xdd\x77\xad\x66\x7e\x74\xff\xb6"
    b"\x3f\x6a\x93\x26\xd7\x4f\x07\x93\x3f\xb8\x98\x60\x35\xfc\xc3\x10\x59\x8f\x7c\xb0\x1c\xd3\x5d"
    b"\x34\x62\x10\x04\xf1\x0d\x98\x0f\xcb\x54\xd4\xe0\xab\xf5\x61\x5c\xc4\xae\x8a\x1b\xbe\x7d\x53"
    b"\xb9\x94\x9a\x64\xec\x90\x0c\xc2\x76\xd0\xaa\xb5\x1c\x94\xc8\x23\x05\x89\x05\x96\x07\xc9\x20"
    b"\x9e\x74\xcf\x95\x36\x61\xd6\x57\x10\xd7\xcb\xdf\xd1\x8a\xe7\xd0\x3e\xf4\xfc\x0e\x53\x81\x6a"
    b"\x2c\xd2\xa3\x5b\x76\xed\x40\xe7\x4f\x3b\x17\xa0\x4e\x35\x46\x07\xf7\x00\x3c\xd2\x13\x02\xd2"
    b"\x2b\x08\xbb\x23\x0c\xb5\xaa\x3e\xf4\x03\x3e\x12\xc3\x19\x51\xba\x13\x9b\x3a\xb7\x7e\x60\xa0"
    b"\x8f\x50\xba\xf7\x4c\xbb\xe3\xe5\x85\xce\x2a\x83\x92\xef\xb8\x77\x26\xdf\xce\x10\x48\xdc\x2b"
    b"\xb2\xdb\xd5\xe8\x20\x4e\x26\x8f\x6e\xc9\x75\x41\xa8\xa7\x59\xed\xbf\xe6\xab\x00\xeb\xc8\x44"
    b"\x04\x9c\xc0\x2c\x6b\xe1\xc4\xf0\x80\x30\x5b\xe0\x28\x66\xbe\x48\xf5\xee\x6e\x3d\xc6\x8b\xba"
    b"\x9c\xdb\xf7\x5e\xad\x34\x5e\x62\x11\x35\x03\xdc\x56\x36\xbf\x06\xfb\x9b\xb3\xcc\x10\x04\xe4"
    b"\x45\x62\x0a\x26\x7d\xea\xe0\xdf\x7f\x6e\x95\x07\xe4\x9d\xb5\x1a\xac\x8d\x15\xa4\xf3\x1f\x73"
    b"\x90\x9c\x64\xf1\x90\x70\x3e\x10\x9d\x28\x57\xc2\x0a\xed\x34\x90\xc3\xfe\xca\x3d\x27\x1f\x4a"
    b"\x7a\xc8\x5a\x3d\x12\x55\x1b\x18\x1c\x71\x4b\xc2\x47\x00\x26\xd1\x09\xd7\x2e\x4b\x63\x25\xc4"
    b"\xcc\x0d\xd3\x6f\x85\x69\x67\x35\x0e\x11\x98\x9e\x55\x3f\xd4\xbc\xbc\x59\xb7\x95\x53\xac\x77"
    b"\x84\x73\xff\xc2\x1d\x80\x21\x57\xea\x6a\xc6\xa5\x5d\xe8\x1f\x07\xe9\xd0\x82\xb7\x3e\x7a\x45"
    b"\xc8\xa0\xf9\x2d\x6f\xcf\x93\xd4\x0e\x81\xf7\x5b\x05\x60\xbc\xb7\xd8\xbc\x72\x4b\x7e\xe2\x56"
    b"\xee\x23\xcc\x03\x70\x93\x81\xe4\x24\x74\x33\xee\x09\xda\xd3\x0a\x43\x0e\xaa\xe2\xba\x88\x07"
    b"\xc7\x9e\xa4\x70\x81\x4a\x36\x48\x85\xa8\x6a\xcc\xae\x2f\x8f\x14\xef\xbc\x4d\xdf\xc9\xe8\x5b"
    b"\xf3\xe0\x14\x2e\x84\x40\x9d\x5c\x3c\xd5\xcb\x1d\x09\x97\x7b\x17\x0a\xac\xb6\x24\x76\xf1\xff"
    b"\x2d\xfe\x2c\x75\x39\xf1\xb0\x4e\x57\x7a\x6c\x0a\x5c\xa3\xc1\x0f\x33\xcf\x27\x8d\x62\xfa\x44"
    b"\x1c\x70\x39\xd1\x60\x7e\xeb\x0a\x76\x07\x31\x1a\xfe\x48\x9c\x5e\x9f\x87\xe9\x64\x4d\x24\xaa"
    b"\xd7\xe8\x9a\x65\xa5\xba\x12\xa9\xfe\x6e\xa1\xe1\x25\xba\x3a\x36\x68\xac\x41\x2c\x75\x77\x22"
    b"\x84\xb8\xfc\xc3\x97\x28\x28\x5c\x54\xfe\xd7\xd2\x98\xb8\xcf\xd3\x6d\x5a\x8a\xef\x52\xf7\x94"
    b"\x48\x0c\xb0\x82\x11\x2a\xc7\x37\xbd\xcc\x0a\xf6\xb2\x24\xda\x4b\xdc\x41\xee\x08\xb2\x35\xc1"
    b"\xec\x4c\x2e\x56\x7d\xf4\x83\x47\x65\xb2\xe1\x74\x30\x3b\x3f\x5a\x6c\x50\x2a\x6d\xfc\x62\x67"
    b"\xc1\xf4\xd9\xea\xec\x73\xcb\x0d\xc5\x65\xa9\x3b\xe5\xc3\x78\x76\x07\x80\x5b\x1f\x36\x48\x53"
    b"\x58\xff\x7c\x04\xea\xf4\x45\xff\x8e\x92\xe4\xab\x0d\x81\x68\x50\xe4\x2d\x53\x76\xf8\xf4\x6e"
    b"\x1f\x2e\x9e\xe8\xa7\xc7\x37\x69\x40\x58\xa3\xa2\x5f\x82\xd0\x42\xbf\x27\x17\x7c\xea\x2c\xaf"
    b"\x53\x0b\x8f\x3c\xf7\x49\xc1\x06\x94\x3e\x53\x4e\x37\x49\xfb\xcb\xe3\x5e\x58\xe3\x26\x1c\x0d"
    b"\x90\xdd\xcc\xee\x20\xf8\xd0\xa0\x07\x9f\x87\x37\xd8\xac\x19\xa3\xa4\xb0\x67\x6b\xed\x9e\xb4"
    b"\xc1\x6f\xaf\xf3\xf1\x32\x33\x99\x95\xe3\x2e\x2a\x43\x65\xeb\x42\x67\x96\x50\xc4\x2c\x69\xfd"
    b"\x93\x1b\x97\xa0\x72\xe8\x87\x24\xc6\x98\x2d\xdd\x63\x6e\x93\xb3\x10\x0d\x24\xd0\x32\xef\xad"
    b"\x86\x1b\x29\xf7\xb4\xfe\xe2\x97\xf4\x2a\x2c\x04\x13\x73\xbf\xae\xd7\x42\x6a\xd3\xd7\xfd\x4f"
    b"\x08\xeb\xc9\xd2\x49\x6a\xc7\xf7\x2e\x4b\xa5\x8a\x9f\xe0\xbc\x12\x13\x74\x6f\x01\x24\xb1\xf6"
    b"\x6f\xbb\xdf\x8c\xa1\x77\x76\x99\xd6\xf1\x10\xa2\x2f\x5b\x62\xbc\x97\xb0\xd1\x20\x86\x5a\x32"
    b"\xe1\x66\xcb\x6a\xb4\x5d\x5e\x80\x58\x92\x0d\x3a\x96\xbe\xf1\xe2\xb9\x17\x03\x27\x70\x4a\x94"
    b"\x48\x3d\x60\x48\x59\xf9\x66\xe2\x32\x11\x41\xb8\xe6\xcc\xb6\x31\x47\x31\xf6\x45\x8f\x48\x8e"
    b"\x20\x3f\xc3\xf8\xee\x72\xd2\x2c\x15\x37\xc4\x77\x54\x54\x28\x30\x6f\x89\xff\x55\x67\x69\x3c"
    b"\xf7\xe2\xe6\x17\x30\x47\xe7\xf7\x3c\xdd\x0d\x60\xf7\x3c\x9d\x68\xf5\x8e\xb4\x87\xfc\xb1\xf8"
    b"\xc4\x8d\x94\x33\x65\x4a\x9d\x02\xfd\xd3\xb3\x51\xc0\xd6\x31\x44\x39\x24\x5b\xf8\x07\x30\x19"
    b"\xfa\xdb\xd9\xf5\x8a\x8e\xf6\x9a\x23\xd1\x15\xe7\x34\x45\x66\x0f\x56\x14\x15\x87\x03\xf1\x68"
    b"\x4b\x7c\xae\xce\x85\xb9\x8a\x57\x65\xae\xc4\x09\xac\x0c\xb1\x44\xf0\x68\x68\xec\x33\xe3\x83"
    b"\x1d\x75\x56\x06\x89\xd5\xde\xab\x8f\xb0\x4f\xa2\x13\xaa\xe8\x2a\x7e\xec\x9e\xc0\x12\xf2\x88"
    b"\xc7\x5e\x86\x08\x86\xd8\x62\xf5\x7e\xc6\xde\x7f\x84\x16\xfd\xb7\x76\x3e\x23\x64\xe4\x2e\x74"
    b"\xc8\xb4\xc2\xef\x34\x41\x8e\x0b\x21\xe5\xa3\x42\x86\x0b\x64\xca\x52\xd5\xd6\x19\x21\x03\x74"
    b"\xca\xaa\xa5\xf0\xa8\x18\x60\x78\x62\xee\xf5\x46\xd6\x24\x56\xc9\x49\xf0\xf5\x68\x17\xc5\x02"
    b"\x52\x57\xb5\x08\xce\x8c\xc5\x7b\x46\x00\x55\x8d\x17\x7f\x8c\x45\x36\xb6\x06\xd8\x77\xa6\xae"
    b"\x8b\x74\xc5\xeb\x94\xa3\xdf\x87\xa3\x63\x27\x6c\xd7\x79\xfa\x14\x89\x56\x42\xa1\xb0\x41\xde"
    b"\x7c\xb4\x5b\xcf\x59\x8c\xb0\x2a\xca\x79\x7d\xec\x51\x11\x01\xc4\x86\xc2\x66\xb1\x42\xc1\x59"
    b"\xa0\x88\x94\xd8\xa9\x46\x93\x0b\xff\x14\xe7\x5a\x6f\x64\x36\xfb\x16\x7d\x23\x8f\x06\xac\x86"
    b"\x31\x36\xc4\xe4\x53\x58\x30\x5f\x8a\xc7\x46\xfa\xb0\xc5\xed\x10\x05\x03\xcd\x4e\x89\x5d\x38"
    b"\xf6\x9c\xc2\xf5\xc9\x70\x8f\x10\x48\x32\xd2\xca\x81\x17\x18\x91\x2e\xd2\x2e\x49\x60\x4d\x62"
    b"\x22\x28\x07\x6f\xb5\xe0\xdf\x6f\x71\x22\xce\x39\x15\x11\xca\xee\x4f\x61\x01\xdb\x4f\x0a\x10"
    b"\x98\x1f\xc5\xb8\x46\x45\xb5\x61\x6d\x8f\x34\xfd\x90\x5c\x9a\xf2\x6d\x9d\xb3\xaf\x3a\xb2\x64"
    b"\xee\x8c\xf6\x94\x10\x07\xd9\xfd\x17\xee\x06\x7d\x8a\x24\xfd\x3f\xf2\x4f\xfa\x73\x88\x87\xb4"
    b"\xbf\xc5\x80\x81\x59\x74\x05\x90\xad\xd9\xb7\x94\x19\xb0\x3d\xdb\x85\x9c\x17\xd8\x2c\x4d\xc3"
    b"\xc4\x60\x83\x74\x51\xcb\xb9\xd5\xa5\xa0\x05\x9b\x30\x46\xcd\x4b\x77\x9a\x23\x3d\x41\xbb\x65"
    b"\x2b\x9f\xbe\xf2\x8e\xbf\x79\xcd\xd5\xcc\x26\xe4\x1e\x18\x6e\x6c\x94\x0b\x94\x32\x00\x58\x7f"
    b"\x47\x57\xe0\x8a\x1e\x1b\x78\x32\x82\x6d\x34\x7d\x4f\xe9\x35\x44\x57\xf0\x2c\x97\x8f\x8e\x4b"
    b"\x67\x56\xee\xd2\x88\x4a\x8a\x03\x19\xf0\x8f\xbd\xed\x5d\xee\x69\xcd\xb3\x59\xfd\x97\x75\xae"
    b"\x97\x60\xa7\xca\x13\x75\x3c\x28\x06\x39\xc8\x36\xa9\x4f\x62\x0a\xc7\xf2\x5a\x71\xec\xaf\x20"
    b"\x6b\xfd\x8b\xa7\xeb\x74\x99\x96\x4b\x1d\xac\x43\xb2\x99\xab\x0e\x44\x26\x94\x5d\xf7\x1f\x9c"
    b"\x28\x37\xa9\x27\xdb\xbb\xa2\x3a\x03\x09\x4d\xfa\xbb\xdb\xdd\xf0\x7f\x37\xd3\xac\xf6\x1f\x42"
    b"\x0b\x95\x21\x09\x69\xdc\x53\x84\x04\xe7\xff\x27\x61\x76\x28\xb2\xd0\x4c\xff\x2b\xdb\xb7\x4f"
    b"\x08\xe6\xdb\xab\xd1\x13\x22\xbc\x50\x24\xf9\x06\xb5\xb6\xc8\xe8\x4e\xfa\x28\x4c\xb0\x1d\x03"
    b"\xef\x25\xeb\xf1\x9a\x6b\xf4\x8f\xe4\xfe\x0e\x28\xa7\xc9\x64\x3f\x3b\x1c\xec\x8c\x50\x3f\xdf"
    b"\x5e\x1e\xba\xc0\x0b\xe2\xd4\x18\x43\x2f\x85\xeb\x1d\xda\x43\xa4\x3f\x5c\x0d\xbe\x0e\xd2\x47"
    b"\x3d\x48\xe6\x4e\x9d\x16\x6e\xca\xbe\x34\xbc\x37\xa2\xe2\xc3\xc4\x38\xd0\x04\x7b\xc4\x4b\x33"
    b"\x5a\x98\xea\x45\x08\xc7\x63\xae\x8d\x4d\x6c\x54\x38\x96\x35\x97\x79\x46\xf2\x92\xc4\x3f\x9c"
    b"\x5f\xd9\xac\xc8\xa8\xed\x8b\x2e\x91\xb0\x34\x66\x30\x8d\x31\x3a\xec\xc9\x64\x39\x86\x83\xfe"
    b"\x2c\x00\xe5\x27\x42\xa4\xdd\x5e\x70\x7b\x2e\xc3\x5f\xb9\xa5\x79\xab\x62\x06\xa5\x8c\x86\xb3"
    b"\xb4\x43\xf7\x83\x56\x30\xe7\xf9\xbb\x8b\x25\xe6\x5b\xef\x07\xbf\xa5\xee\x31\xc1\x14\xc8\x46"
    b"\x4a\x0e\xeb\x0d\xdd\x30\xb7\xa7\x49\x84\xee\x5c\xbc\x57\x30\x40\x8b\x2b\x69\xd5\x69\x4d\x4f"
    b"\x3c\x0f\x3f\xeb\xdc\x95\x31\xca\x01\xd1\xd4\x9e\x85\xe9\xe7\x99\xe2\x7f\x02\xd0\x4b\x28\xca"
    b"\xca\x7a\xe7\x32\xc8\x3e\x29\x5b\x38\xc7\x57\xea\xfe\x1b\x38\xaf\x1e\xfd\xe3\x12\x82\x06\xcc"
    b"\x8c\xcf\x6a\x30\x98\x32\xc1\xb3\x3c\x59\x55\xb6\xe5\x13\x72\x55\xf0\xc2\x6c\x1a\x0c\x90\xae"
    b"\x02\xf4\x36\x8f\x65\x4c\x56\x8b\x4c\xec\x02\x00\x8d\x8d\x89\xb4\x8e\xaa\x46\x5c\xd6\x4e\xd4"
    b"\x69\xd1\x63\xd0\xa8\xd3\xd5\x00\x21\x36\x7c\xd1\xa2\xea\x27\x97\xcb\xb7\x53\xdd\x8a\x1b\xab"
    b"\x2b\x4c\x09\xce\x84\x2a\x18\xd2\x09\x41\xd5\xd7\x6f\x50\xa6\xf9\x15\xef\xf0\xef\xc8\xf9\x02"
    b"\xee\xa3\xcc\x15\xf5\xf6\x8d\x31\x93\xc4\x40\xcc\x04\x4c\x7f\x1a\xeb\x67\x36\x84\x4f\x40\xa9"
    b"\x21\x66\x55\x59\x0a\xb5\xce\x7e\x53\xf6\xcd\x71\xfa\x35\x83\x9b\xa6\x44\x4a\x99\xd2\x36\xd7"
    b"\xb7\x33\xf0\xf5\xaf\x1b\x6a\xa8\xdd\x01\xad\x78\x8e\x44\x77\x89\xb4\xcd\x08\xcb\x6c\xe7\xb7"
    b"\x57\x0e\x01\x8f\x37\x1a\xe5\x1f\xf9\x9f\x31\xd9\xd3\xb8\xed\x8e\x51\xf0\x00\x48\x9c\x03\x26"
    b"\xcb\x82\x91\x32\x76\xc3\x95\x8d\x56\xfc\x82\x34\xa4\x63\x07\x75\xed\x7c\x70\xaa\x09\xf8\xe0"
    b"\x2e\x03\x9d\x04\x60\x72\x31\x59\xc1\x1b\x46\x22\x1f\xf9\x7e\x25\xe0\x36\x2b\x81\x03\xd4\x0e"
    b"\x21"
)
