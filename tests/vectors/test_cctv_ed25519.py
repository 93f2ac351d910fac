"""The 914 Ed25519 edge cases of C2SP's CCTV, where the file is beside the repository's folder.

What a deployed E4 implementation does with each follows from its flags (CCTV's ``ed25519/README.md``):

- ``low_order_A``: the public key is of small order, so the protocol's key check refuses it: `InvalidKey`.
- ``low_order_residue``: the parts of small order in R and [k]A do not cancel out. Only a verifier that
  multiplies by the cofactor accepts; ours does not: `InvalidSignature`.
- ``non_canonical_R``: the verifier computes R and compares its canonical encoding: `InvalidSignature`.
- ``reencoded_k``, ``low_order_R``, ``low_order_component_*`` and ``non_canonical_A`` alone change
  nothing: k is hashed over the bytes as they came. The first only occurs here together with a
  non-canonical R or a key of small order, and every non-canonical A is of small order as well.

So what remains verifies. That is the behaviour of ref10, Go and OpenSSL, and a key check before it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from e4.backend import Backend, get
from e4.errors import E4Error, InvalidKey, InvalidSignature

FILE = Path(__file__).parents[2].parent / "shared" / "vectors" / "cctv_ed25519.json"

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="CCTV vectors are not beside the repository")


def load() -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads(FILE.read_text())
    return vectors


def outcome(backend: Backend, vector: dict[str, Any]) -> type[E4Error] | None:
    try:
        backend.ed25519_verify(
            bytes.fromhex(vector["key"]), vector["msg"].encode(), bytes.fromhex(vector["sig"])
        )
    except E4Error as error:
        return type(error)
    return None


def expected(vector: dict[str, Any]) -> type[E4Error] | None:
    flags = set(vector["flags"] or ())
    if "low_order_A" in flags:
        return InvalidKey
    if flags & {"low_order_residue", "non_canonical_R"}:
        return InvalidSignature
    return None


def test_every_edge_case_has_the_outcome_of_its_flags(backend: Backend) -> None:
    vectors = load()
    assert len(vectors) == 914
    wrong = {v["number"]: outcome(backend, v) for v in vectors if outcome(backend, v) != expected(v)}
    assert wrong == {}


def test_the_outcomes_are_of_all_three_kinds() -> None:
    outcomes = [expected(v) for v in load()]
    assert [outcomes.count(kind) for kind in (InvalidKey, InvalidSignature, None)] == [526, 302, 86]


def test_the_backends_agree_on_every_edge_case() -> None:
    native, reference = get("native"), get("reference")
    assert [v["number"] for v in load() if outcome(native, v) != outcome(reference, v)] == []


def test_the_flags_are_as_the_rule_takes_them() -> None:
    for vector in load():
        flags = set(vector["flags"] or ())
        assert "non_canonical_A" not in flags or "low_order_A" in flags
        assert "reencoded_k" not in flags or flags & {"low_order_A", "non_canonical_R"}
