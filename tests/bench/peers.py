"""`python -m tests.bench.peers`: what public update libraries do with the attacks of our tests.

They are fetched from the package index and run as published; `make bench` does it, no test does.
The same attacks against uWard are tests: `test_tampered`, `test_install`, `test_update_cuts`.
"""

import hashlib
import io
import json
import tarfile
import tempfile
import zipfile
from pathlib import Path

from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

from host_tools.boards import fetch
from tests.bench.harness import Row, table
from tests.conftest import FIRMWARE, run_unix

HERE = Path(__file__).parent
PEERS = {  # project: (file, its SHA-256, module in it)
    "senko": (
        "micropython-senko-2.0.4.tar.gz",
        "a81338bebfe0b693f8127eea6d6a39cc6eb0cbf251788ff525bccb72d8863fb5",
        "senko/senko.py",
    ),
    "micropython-ota": (
        "micropython_ota-2.1.0.tar.gz",
        "f340caa81d88ff78365daa255adcafd79fa4d880ed58ce779748e87d6f9f3973",
        "micropython_ota.py",
    ),
    "espfota": (
        "micropython_espFOTA-1.0.0-py3-none-any.whl",
        "5c794a648d806c98e03fcc7fd362b91eb921240593402a24c4eebe968c15a129",
        "espFOTA.py",
    ),
}
PROJECTS = {"senko": "micropython-senko", "espfota": "micropython-espfota"}


def download(project, file, digest):
    """The bytes of one file of a project, from the package index, by hash."""
    with PyPISimple(endpoint=fetch._index() or PYPI_SIMPLE_ENDPOINT) as client:
        packages = client.get_project_page(project).packages
        (package,) = [one for one in packages if one.filename == file]
        with tempfile.TemporaryDirectory() as folder:
            client.download_package(package, Path(folder) / file)
            data = (Path(folder) / file).read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{file}: another SHA-256 than expected")
    return data


def source(name):
    """The library's one module."""
    file, digest, member = PEERS[name]
    data = download(PROJECTS.get(name, name), file, digest)
    if file.endswith(".whl"):
        return zipfile.ZipFile(io.BytesIO(data)).read(member)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (found,) = [one for one in tar if one.name.endswith("/" + member)]
        return tar.extractfile(found).read()


def verdicts(name):
    """-> ({attack: accepted}, cuts, cuts that left old and new files mixed)"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library" / PEERS[name][2]
        path.parent.mkdir(parents=True)
        path.write_bytes(source(name))
        code = "import json, peers_board\nprint(json.dumps(peers_board.verdicts(%r)))\n" % name
        places = (path.parents[PEERS[name][2].count("/")], HERE, HERE.parent / "powerfail")
        out = run_unix(code, folder, 200, (*places, FIRMWARE), "8m")
    return json.loads(out.strip().splitlines()[-1])


def rows():
    for name in PEERS:
        found, tried, broken = verdicts(name)
        attacks = ", ".join(attack for attack in sorted(found) if found[attack]) or "none"
        yield Row(f"{name}: accepts {attacks}", sum(found.values()), "of 3")
        if tried:
            yield Row(f"{name}: cuts that leave old and new files mixed", broken, f"of {tried}")


if __name__ == "__main__":
    from tests.bench import peers_vault

    print(table([*rows(), *peers_vault.rows()]))
