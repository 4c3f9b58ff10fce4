"""A file system in a dict, for tests that change every byte of every file."""

import errno
import io


class MemoryFiles:
    """What device code asks of `os` and `open`. files: {path: bytes}."""

    def __init__(self, files=None):
        self.files = dict(files or {})
        self.folders = set()

    def put_under(self, monkeypatch, *modules):
        for module in modules:
            monkeypatch.setattr(module, "open", self.open, raising=False)
            monkeypatch.setattr(module, "os", self, raising=False)

    def mkdir(self, path):
        if path in self.folders:
            raise OSError(errno.EEXIST, path)
        self.folders.add(path)

    def listdir(self, path):
        below = (name.removeprefix(path + "/") for name in self.files if name.startswith(path))
        return sorted({name.partition("/")[0] for name in below})

    def stat(self, path):
        return (0x8000, 0, 0, 0, 0, 0, len(self._get(path)), 0, 0, 0)

    def statvfs(self, path):
        return (4096, 4096, 1000, 900, 900, 0, 0, 0, 0, 255)

    def remove(self, path):
        self._get(path)
        del self.files[path]

    def _get(self, path):
        if path not in self.files:
            raise OSError(errno.ENOENT, path)
        return self.files[path]

    def open(self, path, mode="rb"):
        if mode == "rb":
            return io.BytesIO(self._get(path))
        return _Writer(self, path, self.files.get(path, b"") if mode == "ab" else b"")


class _Writer:
    def __init__(self, files, path, data):
        self._files = files
        self._path = path
        self._data = data

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self._files.files[self._path] = self._data

    def write(self, data):
        self._data += bytes(data)
