"""Reading arguments as the Rust backend reads them: buffers, times, and immutable instances.

Knows no crypto.
"""

from __future__ import annotations

import time
from operator import index
from typing import TYPE_CHECKING, NoReturn

from e4.errors import InvalidTimestamp

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Sealed", "read_bytes", "read_time", "whole_number"]

_TIME_LIMIT = 1 << 64


def read_bytes(data: Buffer) -> bytes:
    """The bytes of a C-contiguous buffer; ``bytes`` themselves are not copied.

    Raises:
        TypeError: not a buffer; a number and a str are none.
        BufferError: a buffer with gaps, such as ``memoryview(b"abcd")[::2]``.
    """
    if type(data) is bytes:
        return data
    with memoryview(data) as view:
        if not view.c_contiguous:
            raise BufferError("buffer must be contiguous")
        return view.tobytes()


def whole_number(value: object) -> int:
    """An int, or what counts as one (``__index__``), but no bool; else a `TypeError`."""
    if isinstance(value, bool):
        raise TypeError("expected int, not bool")
    return index(value)  # type: ignore[arg-type]  # that it has __index__ is what this finds out


def read_time(seconds: int | None) -> int:
    """Whole seconds since the Unix epoch, or a number of seconds; ``None`` asks the system's clock.

    Raises:
        TypeError: not an int.
        InvalidTimestamp: outside 0 to 2**64 - 1.
    """
    number = int(time.time()) if seconds is None else whole_number(seconds)
    if not 0 <= number < _TIME_LIMIT:
        raise InvalidTimestamp
    return number


class Sealed:
    """Base of the key classes: set once, by ``_set`` in the constructor; no pickle, no copy."""

    __slots__ = ()

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def __repr__(self) -> str:
        return f"<{type(self).__module__.rpartition('.')[0]}.{type(self).__name__}>"
