"""The clock and data line of the Wi-Fi chip's bus, edge by edge: millions of them carry the chip's
own firmware to it. `GSPIBus` inherits this and is called once a word."""

from rp2040py.gpio_pin import GPIOPinState
from rp2040py.native._gpio_pin cimport GPIOPin

cdef object HIGH = GPIOPinState.HIGH


cdef class Wire:
    cdef public bint _selected
    cdef public bytes _response_bytes
    cdef public Py_ssize_t _response_bit_index
    cdef public unsigned int _shift_reg
    cdef public int _bits_in_word
    cdef public GPIOPin _wire_data

    def _clock_edge(self, new_state, old_state):
        if new_state is HIGH:
            if old_state is not HIGH:
                self._rise()
        elif old_state is HIGH:
            self._fall()

    cdef int _rise(self) except -1:
        cdef unsigned int word
        if not self._selected or self._response_bytes:
            return 0
        self._shift_reg = (self._shift_reg << 1) | (self._wire_data._state_code() == 1)
        self._bits_in_word += 1
        if self._bits_in_word == 32:
            word = self._shift_reg
            self._shift_reg = 0
            self._bits_in_word = 0
            self._on_word(word)
        return 0

    cdef int _fall(self) except -1:
        cdef Py_ssize_t index = self._response_bit_index
        cdef unsigned char byte
        if not self._selected or not self._response_bytes:
            return 0
        byte = self._response_bytes[index >> 3]
        if index + 1 >= len(self._response_bytes) * 8:
            self._response_bytes = b""
            self._response_bit_index = 0
        else:
            self._response_bit_index = index + 1
        self._wire_data.set_input_value((byte >> (7 - (index & 7))) & 1 == 1)
        return 0
