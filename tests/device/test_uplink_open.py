"""How the heap is collected around a TLS handshake (S20, ADR 0022)."""

import asyncio

import pytest
from uward import limits
from uward.errors import TlsRefused


class Station:
    async def stream(self):
        return object()


class Client:
    def __init__(self, error):
        self.error = error

    async def open(self, stream):
        raise self.error


@pytest.mark.parametrize("error", [TlsRefused("untrusted", "another CA"), MemoryError()])
def test_after_a_failed_handshake_garbage_is_collected_as_often_as_before(
    umqtt, monkeypatch, error
):
    """Else what comes next lies all over the heap, and the next handshake finds no block."""
    from uward.link import uplink

    sizes = []
    monkeypatch.setattr(uplink.port, "collect_each", sizes.append)
    link = object.__new__(uplink.Uplink)
    link.station, link._client = Station(), Client(error)
    with pytest.raises(type(error)):
        asyncio.run(link._open())
    assert sizes == [limits.GARBAGE_BULK, limits.GARBAGE]
