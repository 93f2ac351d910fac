"""The verbs and paths of the deployed HTTP interface (C2, section 3.2), and which call a request means.

Paths are matched as they were sent, piece by piece between slashes, and decoded after that: an encoded slash
never ends a piece, so a name may hold one. ``{topic}`` takes as many pieces as there are, also empty ones:
``/e4/topic//a/`` is the topic ``/a/``. Elsewhere slashes count too: ``/e4/clients/`` is no path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from e4.errors import InvalidRequest

__all__ = ["RULES", "Rule", "find", "split"]

_PERCENT, _HEX = 0x25, frozenset(b"0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Rule:
    """A verb and a path, and the call that they mean.

    Args:
        path: pieces between slashes; ``{field}`` is one of the request's fields, ``{topic}`` spans slashes.
        body: whether the other fields are in the body; the query has them otherwise.
    """

    verb: str
    path: tuple[str, ...]
    call: str
    body: bool

    def match(self, pieces: Sequence[str]) -> dict[str, str] | None:
        """The fields in a path; None if it is another path."""
        spare = len(pieces) - len(self.path)
        if spare < 0 or (spare > 0 and "{topic}" not in self.path):
            return None
        fields, at = {}, 0
        for part in self.path:
            width = 1 + spare if part == "{topic}" else 1
            text = "/".join(pieces[at : at + width])
            if part.startswith("{"):
                fields[part[1:-1]] = text
            elif part != text:
                return None
            at += width
        return fields


def _rule(verb: str, path: str, call: str, *, body: bool = False) -> Rule:
    return Rule(verb, tuple(path.split("/")[1:]), call, body)


_CLIENT, _TOPIC = "/e4/client/{client.name}", "/e4/topic/{topic}"
_TARGET = "/e4/client/{targetClient.name}"

RULES = (
    _rule("POST", _CLIENT, "NewClient", body=True),
    _rule("DELETE", _CLIENT, "RemoveClient"),
    _rule("PUT", _CLIENT, "ResetClient"),
    _rule("PATCH", _CLIENT, "NewClientKey", body=True),
    _rule("POST", _TOPIC, "NewTopic"),
    _rule("DELETE", _TOPIC, "RemoveTopic"),
    _rule("PUT", f"{_CLIENT}/topic/{{topic}}", "NewTopicClient"),
    _rule("DELETE", f"{_CLIENT}/topic/{{topic}}", "RemoveTopicClient"),
    _rule("GET", f"{_CLIENT}/topics/count", "CountTopicsForClient"),
    _rule("GET", f"{_CLIENT}/topics", "GetTopicsForClient"),
    _rule("GET", f"{_TOPIC}/clients/count", "CountClientsForTopic"),
    _rule("GET", f"{_TOPIC}/clients", "GetClientsForTopic"),
    _rule("GET", "/e4/clients/count", "CountClients"),
    _rule("GET", "/e4/clients", "GetClients"),
    _rule("GET", "/e4/topics/count", "CountTopics"),
    _rule("GET", "/e4/topics", "GetTopics"),
    _rule("POST", f"{_TARGET}/link/{{sourceClient.name}}", "LinkClient"),
    _rule("DELETE", f"{_TARGET}/unlink/{{sourceClient.name}}", "UnlinkClient"),
    _rule("GET", f"{_CLIENT}/link/count", "CountLinkedClients"),
    _rule("GET", f"{_CLIENT}/link", "GetLinkedClients"),
    _rule("POST", "/e4/send-client-pubkey", "SendClientPubKey", body=True),
    _rule("POST", "/e4/remove-client-pubkey", "RemoveClientPubKey", body=True),
    _rule("POST", "/e4/reset-client-pubkeys", "ResetClientPubKeys", body=True),
    _rule("POST", "/e4/new-c2-key", "NewC2Key", body=True),
    _rule("POST", "/e4/protect-message", "ProtectMessage", body=True),
    _rule("POST", "/e4/unprotect-message", "UnprotectMessage", body=True),
    _rule("GET", "/e4/health-check", "HealthCheck"),
    _rule("GET", "/e4/crypto-mode", "GetCryptoMode"),
)


def split(raw_path: bytes) -> list[str]:
    """The pieces of a path between its slashes, each decoded.

    Raises:
        InvalidRequest: percent signs without two hexadecimal digits after them, or not UTF-8.
    """
    return [_decoded(piece) for piece in raw_path.split(b"/")[1:]]


def find(verb: str, pieces: Sequence[str]) -> tuple[Rule, dict[str, str]] | set[str]:
    """What a request means: the rule and the fields in its path, or else the verbs that the path has."""
    verbs = set()
    for rule in RULES:
        fields = rule.match(pieces)
        if fields is not None:
            if rule.verb == verb:
                return rule, fields
            verbs.add(rule.verb)
    return verbs


def _decoded(piece: bytes) -> str:
    after = [piece[at + 1 : at + 3] for at, byte in enumerate(piece) if byte == _PERCENT]
    if not all(len(digits) == 2 and _HEX.issuperset(digits) for digits in after):
        raise InvalidRequest("the path is not percent-encoded as it should be")
    try:
        return unquote_to_bytes(piece).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the path is not UTF-8") from None
