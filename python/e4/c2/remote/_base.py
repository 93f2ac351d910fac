"""What the methods of `Remote` are made of: one value, a list, a page, all pages."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from e4.c2.jsonform import from_json, page_from_json
from e4.c2.model import Page
from e4.c2.remote._transport import Transport
from e4.errors import Unavailable

__all__ = ["LIMIT", "Base"]

T = TypeVar("T")

LIMIT = 1000  # items of a page, where all are wanted


class Base:
    """Asks by a transport, and reads what is answered."""

    _transport: Transport

    def _one(
        self, kind: type[T], method: str, path: str, *, body: Any = None, silence: float | None = None
    ) -> T:
        answer = self._transport.call(method, path, body=body, silence=silence)
        return self._read(lambda: from_json(kind, answer))

    def _list(self, kind: type[T], method: str, path: str, *, body: Any) -> list[T]:
        answer = self._transport.call(method, path, body=body)
        return self._read(lambda: [from_json(kind, item) for item in answer["items"]])

    def _page(self, form: type[T], path: str, cursor: str | None, limit: int, **query: Any) -> Page[T]:
        answer = self._transport.call("GET", path, query={"cursor": cursor, "limit": limit, **query})
        return self._read(lambda: page_from_json(form, answer))

    def _all(self, page: Callable[[str | None], Page[T]]) -> Iterator[T]:
        cursor = None
        while True:
            found = page(cursor)
            yield from found.items
            if found.next is None:
                return
            cursor = found.next

    def _message(self, path: str, topic: str, data: bytes, answer: str) -> bytes:
        member = "data" if answer == "protected" else "protected"
        body = {"topic": topic, member: base64.b64encode(data).decode()}
        # Without an idempotency key, which would have the server keep the answer: nothing is changed by it.
        said = self._transport.call("POST", path, body=body, key="")
        return self._read(lambda: base64.b64decode(said[answer], validate=True))

    def _read(self, form: Callable[[], T]) -> T:
        try:
            return form()
        except (ValueError, KeyError, TypeError):
            raise Unavailable(f"{self._transport.url} gives an answer that is not understood here") from None
