"""What `mip install` and a frozen build take: every module of the agent, and nothing else."""

import json

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

from tests.conftest import FIRMWARE, ROOT


def test_package_json_lists_every_module():
    package = json.loads((FIRMWARE / "package.json").read_text())
    modules = sorted(
        path.relative_to(FIRMWARE).as_posix() for path in (FIRMWARE / "uward").rglob("*.py")
    )
    assert package["urls"] == [[name, name] for name in modules]


def test_package_json_has_the_projects_version():
    package = json.loads((FIRMWARE / "package.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert package["version"] == project["project"]["version"]
    assert ["umqtt.simple", "latest"] in package["deps"]


def test_the_frozen_manifest_takes_the_same_package():
    called = []

    def note(name):
        return lambda *arguments, **options: called.append((name, arguments, options))

    scope = {name: note(name) for name in ("require", "package", "module", "freeze")}
    exec((FIRMWARE / "manifest.py").read_text(), scope)
    assert ("package", ("uward",), {"base_path": "."}) in called
    assert ("require", ("umqtt.simple",), {}) in called
    assert not any(name in ("module", "freeze") for name, _, _ in called)
