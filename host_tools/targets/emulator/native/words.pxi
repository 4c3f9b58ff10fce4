# Byte access without a call: the wheel's own helpers are functions of another extension module.
cdef inline unsigned int u32(long long v) noexcept:
    return <unsigned int> v
cdef inline unsigned int read_uint32_le(unsigned char[::1] b, Py_ssize_t o) noexcept:
    return (<unsigned int*> (&b[0] + o))[0]
cdef inline unsigned short read_uint16_le(unsigned char[::1] b, Py_ssize_t o) noexcept:
    return (<unsigned short*> (&b[0] + o))[0]
cdef inline void write_uint32_le(unsigned char[::1] b, Py_ssize_t o, unsigned long long v) noexcept:
    (<unsigned int*> (&b[0] + o))[0] = <unsigned int> v
cdef inline void write_uint16_le(unsigned char[::1] b, Py_ssize_t o, unsigned int v) noexcept:
    (<unsigned short*> (&b[0] + o))[0] = <unsigned short> v
