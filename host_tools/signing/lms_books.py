"""What an LMS key's books say, and how they are held against what others remember (S6). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from host_tools.errors import Refused

ADOPTED = "adopted"  # stands for a digest: this index and the unused ones below are given up
RESTORED_HINT = "a copied or restored key is put back to work by `uward keys adopt`"


@dataclass(frozen=True)
class State:
    """`next`: first free index; `head`: journal head before the last reservation."""

    next: int
    head: str
    place: str


class Elsewhere(Protocol):
    """A place outside of this folder that remembers the key's next index (`log_witness`)."""

    def next_index(self) -> int | None:
        """The first index that may be unused; None for a key that it never heard of."""
        ...

    def note(self, following: int) -> None:
        """Every index below `following` is used; durable on return."""
        ...


@dataclass(frozen=True)
class Used:
    """One journal line. `digest` is the SHA-256 of the signed message, hex, or `adopted`."""

    index: int
    digest: str
    time: int
    previous: str


def compare(state: State, journal: list[Used], witness: Mapping[int, str]) -> None:
    """Hold the books against a log that was kept elsewhere (S6). Raises Refused."""
    known = {used.index: used.digest for used in journal if used.digest != ADOPTED}
    given_up = max((used.index for used in journal if used.digest == ADOPTED), default=-1)
    for index, digest in sorted(witness.items()):
        if index >= state.next:
            raise Refused(
                f"the log knows a signature with index {index}, but this key's next is "
                f"{state.next}: it was restored from a backup, or signs in two places",
                RESTORED_HINT,
            )
        if known.get(index) != digest and (index in known or index > given_up):
            raise Refused(
                f"the log knows another message signed with index {index}: expected "
                f"{known.get(index, 'none')}, got {digest}",
                "two signers share this key: revoke it",
            )


def ask(elsewhere: Elsewhere | None, state: State) -> None:
    """Whether the place elsewhere knows of more than these books do (S6). Raises Refused."""
    if elsewhere is None:
        return
    following = elsewhere.next_index()
    if following is None and state.next:
        raise Refused(
            "the witness does not know this key, which has signed before",
            "if this is a new witness, `uward log witness` begins it",
        )
    if following is not None and following > state.next:
        raise Refused(
            f"the witness knows signatures up to index {following - 1}, but this key's next is "
            f"{state.next}: it was restored from a backup, or signs in two places",
            RESTORED_HINT,
        )
