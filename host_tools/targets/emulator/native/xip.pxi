# The XIP cache of the RP2040 (data sheet 2.6.3): 16 KB, two ways of 1024 lines of 8 bytes. A miss
# costs `xip_miss` cycles; 0 switches the model off.
cdef int xip_miss = 0
cdef unsigned int xip_tag0[1024]
cdef unsigned int xip_tag1[1024]
cdef unsigned char xip_lru[1024]
cdef unsigned int xip_last = 0xFFFFFFFF
cdef unsigned long long xip_misses = 0

cdef inline int xip_access(unsigned int addr) noexcept:
    global xip_last, xip_misses
    if xip_miss == 0:
        return 0
    cdef unsigned int line = addr >> 3
    if line == xip_last:
        return 0
    xip_last = line
    cdef unsigned int way = line & 1023
    if xip_tag0[way] == line:
        xip_lru[way] = 1
        return 0
    if xip_tag1[way] == line:
        xip_lru[way] = 0
        return 0
    if xip_lru[way] == 0:
        xip_tag0[way] = line
        xip_lru[way] = 1
    else:
        xip_tag1[way] = line
        xip_lru[way] = 0
    xip_misses += 1
    return xip_miss

def set_xip_miss(cycles: int) -> None:
    """Cycles that a miss costs from now on; the cache is emptied."""
    global xip_miss, xip_last, xip_misses
    cdef int i
    for i in range(1024):
        xip_tag0[i] = 0xFFFFFFFF
        xip_tag1[i] = 0xFFFFFFFF
        xip_lru[i] = 0
    xip_last = 0xFFFFFFFF
    xip_misses = 0
    xip_miss = cycles

def xip_stats() -> int:
    """Misses since the last `set_xip_miss`."""
    return xip_misses
