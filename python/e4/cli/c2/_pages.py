"""Reading a list from the server, page by page, as far as it is wanted. Knows no command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, TypeVar

import typer

from e4.c2.model import Page

__all__ = ["LimitOption", "paged"]

T = TypeVar("T")

_LARGEST = 1000  # items of one page

LimitOption = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="At most so many.", show_default="all"),
]


def paged(page: Callable[[str | None, int], Page[T]], limit: int | None) -> Iterator[T]:
    """The items of all pages, or the first ones, each page asked for when it is needed.

    Args:
        page: gets a page from its cursor (None: the first) and its size.
        limit: how many items; None for all.
    """
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        answer = page(cursor, _LARGEST if left is None else min(left, _LARGEST))
        yield from answer.items
        if answer.next is None:
            return
        cursor = answer.next
        left = None if left is None else left - len(answer.items)
