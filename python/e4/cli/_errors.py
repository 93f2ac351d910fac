"""From an exception to one line on stderr and an exit code. Knows no command."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback

from e4 import errors
from e4.cli._output import shown

__all__ = ["FAILED", "INTERRUPTED", "OK", "USAGE", "Failed", "Usage", "exit_code", "explain", "report"]

OK = 0
FAILED = 1  # refused, not there, or not acknowledged
USAGE = 2  # the arguments are not those of the command
INTERRUPTED = 130  # as a shell counts it: 128 + SIGINT

# What to do next, for the errors whose own text leaves it open.
_HINTS: dict[type[Exception], str] = {
    errors.TopicKeyMissing: "send the client one with 'e4 command set-topic-key'",
    errors.InvalidPassword: "choose a longer one",
    errors.WrongPassphrase: "give the one of 'e4 c2 init', or of the last change",
    errors.NotConnected: "check that the broker runs there, or give another with --broker",
    errors.NotDelivered: "check the broker, or give it longer with --timeout",
    errors.Unauthenticated: "log in with 'e4 c2 login', or give a token with --token-file",
    errors.PermissionDenied: "it takes a token that allows it, see 'e4 c2 token --help'",
}

# Arguments that break a rule of the protocol; a key is not among them, because it comes from a file.
_BAD_ARGUMENTS = (errors.InvalidName, errors.InvalidPassword, errors.InvalidTopic, errors.InvalidId)


class Usage(Exception):
    """Arguments that do not go together. The text says which to give instead."""


class Failed(Exception):
    """Something could not be done, for a reason no exception of e4 stands for."""


def exit_code(error: BaseException) -> int:
    """The exit code for an exception that ended a command."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, (Usage, *_BAD_ARGUMENTS)):
        return USAGE
    # typer's own errors bring theirs (its classes moved between versions: known by what they have).
    code = getattr(error, "exit_code", FAILED)
    return code if isinstance(code, int) else FAILED


def explain(error: BaseException) -> str:
    """What went wrong and what to do next, on one line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, errors.E4Error):
        hint = _HINTS.get(type(error))
        text = str(error)
        return shown(f"{text}: {hint}" if hint else text)
    if isinstance(error, (Usage, Failed)):
        return shown(str(error))
    if callable(getattr(error, "format_message", None)):
        return shown(_typer_message(error))
    if isinstance(error, OSError):
        return shown(_os_message(error))
    return shown(f"internal error ({type(error).__name__}): please report it; --verbose shows where it is")


def report(error: BaseException) -> int:
    """Print one line about an exception on stderr.

    Returns:
        The exit code.
    """
    known = isinstance(error, (errors.E4Error, Usage, Failed, OSError, KeyboardInterrupt))
    if logging.getLogger("e4").isEnabledFor(logging.DEBUG) and not known and not hasattr(error, "exit_code"):
        traceback.print_exception(error)
    print(f"e4: {explain(error)}", file=sys.stderr)
    return exit_code(error)


def _typer_message(error: BaseException) -> str:
    param = getattr(error, "param", None) or getattr(error, "param_hint", None)
    message = str(error.format_message() if param else getattr(error, "message", ""))  # type: ignore[attr-defined]
    message = message or str(error.format_message())  # type: ignore[attr-defined]
    # A stray argument may be the second word of a password: it is not repeated.
    if message.startswith("Got unexpected extra argument"):
        message = "unexpected extra arguments (quote a text that holds spaces)"
    message = re.sub(r"\s+", " ", message).strip().rstrip(".")
    path = getattr(getattr(error, "ctx", None), "command_path", None)
    if path is None:
        return message
    return f"{message[:1].lower()}{message[1:]}{'' if message.endswith('?') else ':'} see '{path} --help'"


def _os_message(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, (str, bytes)) else reason
