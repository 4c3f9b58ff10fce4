"""MicroPython's `cryptolib.aes` for CPython, over `cryptography`. Never imported on a device."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class aes:
    def __init__(self, key, mode, iv=None):
        chain = modes.ECB() if mode == 1 else modes.CBC(bytes(iv))
        cipher = Cipher(algorithms.AES(bytes(key)), chain)
        self._encrypt = cipher.encryptor()
        self._decrypt = cipher.decryptor()

    def encrypt(self, src, dst):
        dst[:] = self._encrypt.update(bytes(src))

    def decrypt(self, src, dst):
        dst[:] = self._decrypt.update(bytes(src))
