"""Options that several verbs share, each worded once."""

from pathlib import Path
from typing import Annotated

import typer

Fleet = Annotated[
    Path | None,
    typer.Option(
        "--fleet",
        envvar="UWARD_FLEET",
        metavar="DIR",
        help="The fleet's folder. Default: the nearest one upwards with a uward.toml.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Board = Annotated[
    str | None,
    typer.Option("--board", metavar="NAME", help="Another board than the project's."),
]
Passphrase = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="First line: the passphrase of the keys. Default: $UWARD_PASSPHRASE, or none.",
    ),
]
DigestOut = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write what the holder has to sign, and sign nothing."),
]
SignatureIn = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Attach a signature made elsewhere.")
]
