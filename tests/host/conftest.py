"""A collector and a device that it knows, for the tests in this folder."""

import pytest
from collector_kit import Bench


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def alice(bench):
    return bench.device()
