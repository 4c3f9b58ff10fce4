# The hardware divider of SIO (data sheet 2.3.1.5), which integer division calls all the time: the
# wheel models it in Python. Its state lives in RP2040 (`div_*`, see patches.py).
cdef inline unsigned int div_read(RP2040 r, unsigned int offset) noexcept:
    if offset == 0x70:
        r.div_dirty = 0
        return r.div_quotient
    if offset == 0x74:
        return r.div_remainder
    if offset == 0x78:
        return (r.div_dirty << 1) | 1  # always ready: a result takes 8 cycles
    return r.div_divisor if offset & 4 else r.div_dividend

cdef inline void div_write(RP2040 r, unsigned int offset, unsigned int value) noexcept:
    cdef long long n, d
    r.div_dirty = 1
    if offset == 0x70:
        r.div_quotient = value
        return
    if offset == 0x74:
        r.div_remainder = value
        return
    if offset & 4:
        r.div_divisor = value
    else:
        r.div_dividend = value
    if offset & 8:  # signed
        n = <int> r.div_dividend
        d = <int> r.div_divisor
    else:
        n = r.div_dividend
        d = r.div_divisor
    if d == 0:
        r.div_quotient = 1 if offset & 8 and n < 0 else 0xFFFFFFFF
        r.div_remainder = r.div_dividend
    else:  # C truncates, as the divider does (cdivision)
        r.div_quotient = <unsigned int> (n / d)
        r.div_remainder = <unsigned int> (n % d)
