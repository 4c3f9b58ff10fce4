"""What a verb can end with, other than success: one exception, one exit code, one hint.

`cli.main` prints `uward: error: <message>` and `uward: hint: <hint>` and leaves with `exit_code`.
"""


class HostError(Exception):
    """Base of every error that a user sees; `hint` says what to do, or is empty."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Refused(HostError):
    """A check failed or a request was refused: wrong key, bad image, broken rule."""

    exit_code = 1


class UsageError(HostError):
    """What the user typed, or a file that the user wrote, is not what was expected."""

    exit_code = 2


class DeviceError(HostError):
    """A board, port, socket or download did not answer as expected."""

    exit_code = 3
