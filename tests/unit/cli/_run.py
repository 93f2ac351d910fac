"""Runs the command line in this process, and looks for secrets in what it prints."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest

from e4.cli import main

PASSWORD = "correct horse battery staple"


@dataclass
class Result:
    """What a command has left behind."""

    code: int
    out: str
    err: str

    def refused(self, code: int, text: str) -> None:
        """It ended with this code and one line on stderr that holds this text, and printed nothing else."""
        assert self.code == code, self.err
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("e4: ")
        assert text in self.err
        assert "Traceback" not in self.err
        assert "internal error" not in self.err


class Run:
    """The fixture ``run``: call it with the arguments of ``e4``."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: object) -> Result:
        code = main([str(a) for a in arguments])
        out, err = self._capfd.readouterr()
        return Result(code, out, err)


def assert_no_secret(text: str, *secrets: bytes) -> None:
    """None of the secrets is in the text, in any form it might take there."""
    for secret in secrets:
        for form in (
            secret.hex(),
            base64.b64encode(secret).decode(),
            repr(secret)[2:-1],
            secret.decode("utf-8", "surrogateescape"),
        ):
            assert form not in text
