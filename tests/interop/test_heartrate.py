"""The device's heart rate against HeartPy's own on the three recordings that HeartPy ships."""

import struct
import warnings
from statistics import mean

import pytest

from tests.device.conftest import device  # noqa: F401 - the fixture

heartpy = pytest.importorskip("heartpy", reason="no heartpy: pip install -e .[dev]")
numpy = pytest.importorskip("numpy")

TOLERANCE = 3  # beats a minute
RATE_HZ = 100  # of the sensor
SCALE = 64  # recordings have 10 bits, the sensor has 18
OFFSET = 50000


def recording(number):
    """-> (samples, rate in Hz) of data.csv, data2.csv, data3.csv."""
    data, stamps = heartpy.load_exampledata(number)
    if number == 0:
        return data, 100.0
    if number == 1:
        return data, heartpy.get_samplerate_mstimer(stamps)
    return data, heartpy.get_samplerate_datetime(stamps, timeformat="%Y-%m-%d %H:%M:%S.%f")


def as_sensor(data, rate):
    """What a sensor of 100 Hz and 18 bits would have read: 3 bytes big-endian a sample."""
    count = int(len(data) / rate * RATE_HZ)
    times = numpy.arange(count) / RATE_HZ
    samples = numpy.interp(times, numpy.arange(len(data)) / rate, data)
    return b"".join(struct.pack(">I", int(s * SCALE) + OFFSET)[1:] for s in samples)


@pytest.mark.parametrize(("number", "valid"), [(0, 0.5), (1, 0.5), (2, 0.9)])
def test_rate_agrees_with_heartpy(device, tmp_path, number, valid):  # noqa: F811
    """`valid`: share of seconds with a rate; data2 starts with half a minute of handling."""
    data, rate = recording(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, measures = heartpy.process(data, rate)
    path = tmp_path / "ppg"
    path.write_bytes(as_sensor(data, rate))
    rates = device("device_heart", "rates", str(path))
    given = [r for r in rates if r is not None]
    assert len(given) >= valid * len(rates)
    assert abs(mean(given) - measures["bpm"]) <= TOLERANCE
