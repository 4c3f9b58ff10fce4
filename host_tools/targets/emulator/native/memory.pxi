# SRAM and flash are read and written in place; everything else goes the way that the wheel takes.
cdef inline unsigned int f_rd32(RP2040 r, unsigned int a) except? 0:
    if (a & 3) == 0:
        if a - 0x20000000U < 0x42000U:
            return (<unsigned int*> (&r._sram[0] + (a - 0x20000000U)))[0]
        if a - 0x10000000U < 0x1000000U:
            return (<unsigned int*> (&r._flash[0] + (a - 0x10000000U)))[0]
    if a == 0xD0000000U:  # SIO.CPUID: one core is emulated
        return 0
    if a - 0xD0000060U <= 0x18U:
        return div_read(r, a & 0x7CU)
    return r.read_uint32(a)

cdef inline unsigned int f_rd16(RP2040 r, unsigned int a) except? 0:
    if a - 0x10000000U < 0x1000000U:
        return (<unsigned short*> (&r._flash[0] + (a - 0x10000000U)))[0]
    if a - 0x20000000U < 0x42000U:
        return (<unsigned short*> (&r._sram[0] + (a - 0x20000000U)))[0]
    if a < 0x4000U:
        return (r._bootrom[a >> 2] >> ((a & 2) << 3)) & 0xFFFF
    return r.read_uint16(a)

cdef inline unsigned int f_rd8(RP2040 r, unsigned int a) except? 0:
    if a - 0x20000000U < 0x42000U:
        return r._sram[a - 0x20000000U]
    if a - 0x10000000U < 0x1000000U:
        return r._flash[a - 0x10000000U]
    return r.read_uint8(a)

cdef inline int f_wr32(RP2040 r, unsigned int a, long long v) except -1:
    if a - 0x20000000U < 0x41FFDU:
        (<unsigned int*> (&r._sram[0] + (a - 0x20000000U)))[0] = <unsigned int> v
    elif a - 0xD0000060U <= 0x14U:
        div_write(r, a & 0x7CU, <unsigned int> v)
    else:
        r.write_uint32(a, v)
    return 0

cdef inline int f_wr16(RP2040 r, unsigned int a, long long v) except -1:
    if a - 0x20000000U < 0x41FFFU:
        (<unsigned short*> (&r._sram[0] + (a - 0x20000000U)))[0] = <unsigned short> v
    else:
        r.write_uint16(a, v)
    return 0

cdef inline int f_wr8(RP2040 r, unsigned int a, long long v) except -1:
    if a - 0x20000000U < 0x42000U:
        r._sram[a - 0x20000000U] = <unsigned char> v
    else:
        r.write_uint8(a, v)
    return 0

cdef inline bint f_cond(CortexM0Core k, unsigned int c) noexcept:
    cdef unsigned int b = c >> 1
    cdef bint x
    if b == 0: x = k.z
    elif b == 1: x = k.c
    elif b == 2: x = k.n
    elif b == 3: x = k.v
    elif b == 4: x = k.c and not k.z
    elif b == 5: x = k.n == k.v
    elif b == 6: x = (k.n == k.v) and not k.z
    else: x = True
    return (not x) if ((c & 1) and c != 15) else x
