"""From sources to the images of one board: the app's image, and the recovery image (SPEC 2).

Same sources, same board, same figures: same bytes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from host_tools.boards.catalogue import Board
from host_tools.errors import Refused
from host_tools.image import compile as mpy
from host_tools.image import digests, lint, seldom, sources
from host_tools.image import rename as names
from host_tools.image.digests import Build
from host_tools.image.memo import remembered

RECOVERY_ENTRY = "uward.recovery"
FINDINGS_SHOWN = 10
IMAGE_FILES = 192  # files and folders of one image: as on the device, which starts no other


@dataclass(frozen=True)
class Images:
    """What one build makes: two ROMFS files."""

    app: bytes
    recovery: bytes


def images(board: Board, build: Build, app: Path, allow: Collection[str]) -> Images:
    """Both images of `board`. Raises Refused for source that does not compile or that the lint
    refuses, UsageError for folders without a program."""
    program = sources.app(app)
    _lint(program, allow)
    _expect_entry(build.entry, program)
    agent = sources.asked_for(sources.agent(board), program)
    code = _compiled(board, agent, program)
    files = seldom.add(code, agent, board)
    _expect_few([*files, digests.BUILD])
    return Images(
        digests.seal(files, build),
        digests.seal(_recovery(board, agent, code), replace(build, entry=RECOVERY_ENTRY)),
    )


@remembered
def _compiled(board: Board, agent: sources.Sources, program: sources.Sources) -> dict[str, bytes]:
    def rename(texts: Mapping[str, bytes]) -> dict[str, bytes]:
        return names.rename(board, texts, program.values())

    compiled = mpy.compile_all(agent, board.mpy_arch, rename=rename)
    return compiled | mpy.compile_all(program, board.mpy_arch)


def _recovery(board: Board, agent: sources.Sources, code: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of `code` that the recovery image has too."""
    modules = sources.asked_for(agent, {})
    paths = [path.removesuffix(".py") + ".mpy" for path in modules]
    return seldom.add({path: code[path] for path in paths if path in code}, modules, board)


def _lint(program: sources.Sources, allow: Collection[str]) -> None:
    findings = lint.check(program, allow)
    if findings:
        shown = [str(finding) for finding in findings[:FINDINGS_SHOWN]]
        if len(findings) > len(shown):
            shown.append(f"and {len(findings) - len(shown)} more")
        names = sorted({finding.rule for finding in findings} & set(lint.RULES))
        hint = f"change it, or allow it in uward.toml: [app] allow = {names}" if names else ""
        raise Refused("the app uses what it may not:\n  " + "\n  ".join(shown), hint)


def _expect_few(files: Collection[str]) -> None:
    """Before the board says so, which does not start such an image."""
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}
    count = len(files) + len(folders - {"/"})
    if count > IMAGE_FILES:
        raise Refused(
            f"the image has {count} files and folders, a board takes {IMAGE_FILES}",
            "put several modules of your program into one",
        )


def _expect_entry(entry: str, program: sources.Sources) -> None:
    path = "/" + entry.replace(".", "/") + ".py"
    if path not in program:
        raise Refused(
            f"entry is {entry}, but the app has no {path}", "[app] entry in uward.toml names it"
        )
