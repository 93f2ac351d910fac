"""Choosing a crypto backend, and what both make of arguments that are not as they should be."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from e4.backend import Backend, TopicContext, get
from e4.errors import BackendError, E4Error, InvalidId, InvalidInput, InvalidKey, InvalidTimestamp

T0 = 1_588_888_888
KEY = b"\xa5secret key of exactly 32 bytes!"
ID = b"\xc3id of 16 bytes."


def run(code: str, **environment: str) -> str:
    """What a new interpreter prints. Its ``block`` makes packages unimportable, as if not installed."""
    prelude = """
        import sys

        class Blocker:
            names = set()
            def find_spec(self, name, path=None, target=None):
                if name in self.names or name.partition(".")[0] in self.names:
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        def block(*names):
            Blocker.names = set(names)
            sys.meta_path.insert(0, Blocker())

        def refusal(call, *args, **kwargs):
            from e4.errors import BackendError
            try:
                call(*args, **kwargs)
            except BackendError as error:
                return str(error)

        from e4 import backend
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env={k: v for k, v in os.environ.items() if k != "E4_BACKEND"}
        | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        | environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# The choice.


def test_native_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("E4_BACKEND", raising=False)
    assert get() is get("native")
    monkeypatch.setenv("E4_BACKEND", "")
    assert get() is get("native")


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E4_BACKEND", "reference")
    assert get() is get("reference")
    assert get() is not get("native")


def test_an_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, backend_name: str) -> None:
    other = "native" if backend_name == "reference" else "reference"
    monkeypatch.setenv("E4_BACKEND", other)
    assert get(backend_name) is not get(other)
    assert get() is get(other)


@pytest.mark.parametrize("name", ["rust", "Native", "native ", "e4.reference", "os"])
def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    expected = f"unknown crypto backend {name!r}: choose 'native' or 'reference'"
    with pytest.raises(BackendError) as refused:
        get(name)
    assert str(refused.value) == expected
    monkeypatch.setenv("E4_BACKEND", name)
    with pytest.raises(BackendError) as refused:
        get()
    assert str(refused.value) == expected


@pytest.mark.parametrize("package", ["cryptography", "nacl"])
def test_a_missing_package_is_an_error_that_says_what_to_install(package: str) -> None:
    assert run(f"block({package!r}); print(refusal(backend.get, 'reference'))") == (
        f"crypto backend 'reference' is not available (No module named '{package}'): "
        "install the extra 'reference'"
    )


def test_a_missing_native_module_is_an_error_and_nothing_takes_its_place() -> None:
    code = "block('e4._native'); print(refusal(backend.get)); print('e4.reference' in sys.modules)"
    assert run(code).splitlines() == [
        "crypto backend 'native' is not available (No module named 'e4._native'): "
        "build the package with 'pip install .'",
        "False",
    ]


def test_numpy_is_wanted_by_key_derivation_alone() -> None:
    code = """
        block("numpy")
        reference = backend.get("reference")
        context = reference.SymKey(b"k" * 32)
        assert context.unprotect(context.protect(b"payload")) == b"payload"
        parameters = dict(time_cost=1, memory_kib=8, lanes=1, length=32)
        print(refusal(reference.argon2i, b"password", b"", **parameters))
    """
    assert run(code) == ("crypto backend 'reference' needs numpy for Argon2: install the extra 'reference'")


def test_importing_e4_imports_no_backend() -> None:
    code = """
        import e4
        print(sorted({"e4._native", "e4.reference", "cryptography", "nacl", "numpy"} & set(sys.modules)))
    """
    assert run(code, E4_BACKEND="no such backend") == "[]"


def test_a_backend_has_every_name_of_the_protocol(backend: Backend) -> None:
    functions = {n for n, f in vars(Backend).items() if inspect.isfunction(f) and not n.startswith("_")}
    names = functions | {"SymKey", "PrivateKey", "PublicKey", "SignedTopicKey"}
    assert len(names) > 15
    assert [name for name in names if not callable(getattr(backend, name, None))] == []


# The classes.


def instances(backend: Backend) -> list[Any]:
    private = KEY + backend.ed25519_public_key(KEY)
    sym, signer = backend.SymKey(KEY, previous=KEY), backend.PrivateKey(private, ID)
    verifier = backend.PublicKey(private[32:])
    return [sym, signer, verifier, backend.SignedTopicKey(sym, signer, {ID: verifier})]


def test_reprs_and_strings_show_no_secret(backend: Backend) -> None:
    seed_as_text = [repr(KEY)[2:-1], "secret key", KEY.hex(), str(list(KEY))[1:-1], KEY[:8].hex()]
    for instance in instances(backend):
        for text in (repr(instance), str(instance), f"{instance}"):
            assert type(instance).__name__ in text
            assert not [part for part in seed_as_text if part in text]


def test_instances_cannot_be_changed(backend: Backend) -> None:
    for instance in instances(backend):
        for name in ("key", "_siv", "previous", "anything"):
            with pytest.raises((AttributeError, TypeError)):
                setattr(instance, name, None)
        assert not hasattr(instance, "__dict__")


def test_instances_cannot_be_pickled_or_copied(backend: Backend) -> None:
    for instance in instances(backend):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError):
                pickle.dumps(instance, protocol)
        for duplicate in (copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                duplicate(instance)


def test_a_signed_topic_key_wants_the_backends_own_classes(backend: Backend) -> None:
    sym, signer, verifier, _ = instances(backend)
    other = instances(get("reference" if backend is get("native") else "native"))
    refused: list[tuple[Any, Any, Any]] = [
        (other[0], signer, {}),
        (sym, other[1], {}),
        (sym, signer, [(ID, verifier)]),
        (sym, signer, None),
        (KEY, signer, {}),
        (sym, KEY, {}),
    ]
    for arguments in refused:
        with pytest.raises(TypeError):
            backend.SignedTopicKey(*arguments)


def test_a_foreign_public_key_in_the_map_is_a_type_error(backend: Backend) -> None:
    sym, signer, _, context = instances(backend)
    other = instances(get("reference" if backend is get("native") else "native"))
    message = context.protect(b"payload", T0)
    foreign = backend.SignedTopicKey(sym, signer, {ID: other[2]})
    with pytest.raises(TypeError):
        foreign.unprotect(message, T0)


# Arguments.


@pytest.mark.parametrize("length", [0, 1, 16, 31, 33, 64])
def test_symmetric_keys_of_another_length(backend: Backend, length: int) -> None:
    with pytest.raises(InvalidKey):
        backend.SymKey(b"k" * length)
    with pytest.raises(InvalidKey):
        backend.SymKey(KEY, previous=b"k" * length)


def test_symmetric_keys_of_zeros(backend: Backend) -> None:
    with pytest.raises(InvalidKey):
        backend.SymKey(bytes(32))
    with pytest.raises(InvalidKey):
        backend.SymKey(KEY, previous=bytes(32))


def test_private_keys(backend: Backend) -> None:
    private = KEY + backend.ed25519_public_key(KEY)
    for wrong in (b"", KEY, private[:-1], private + b"\0", KEY + bytes(32), private[:-1] + b"\xff"):
        with pytest.raises(InvalidKey):
            backend.PrivateKey(wrong, ID)
        with pytest.raises(InvalidKey):
            backend.ed25519_sign(wrong, b"message")
        with pytest.raises(InvalidKey):
            backend.private_ed25519_key_to_curve25519(wrong)
    for id in (b"", ID[:-1], ID + b"\0"):
        with pytest.raises(InvalidId):
            backend.PrivateKey(private, id)


def calls_at(context: TopicContext, message: bytes, timestamp: Any) -> list[Callable[[], object]]:
    """Everything that a context does at a time."""
    return [
        lambda: context.protect(b"", timestamp),
        lambda: context.protect_many([], timestamp),
        lambda: context.unprotect(message, timestamp),
        lambda: context.unprotect_many([], timestamp),
    ]


@pytest.mark.parametrize("timestamp", [-1, 2**64, 2**64 + 1, -(2**70), 2**70])
def test_timestamps_out_of_range(backend: Backend, timestamp: int) -> None:
    sym, *_, signed = instances(backend)
    for context in (sym, signed):
        message = context.protect(b"", T0)
        for call in calls_at(context, message, timestamp):
            with pytest.raises(InvalidTimestamp):
                call()


@pytest.mark.parametrize("timestamp", [True, False, 1.0, "1", b"1", [1]])
def test_timestamps_that_are_no_int(backend: Backend, timestamp: Any) -> None:
    sym, *_, signed = instances(backend)
    for context in (sym, signed):
        message = context.protect(b"", T0)
        for call in calls_at(context, message, timestamp):
            with pytest.raises(TypeError):
                call()


@pytest.mark.parametrize("name", ["previous_since", "max_ahead", "max_age", "max_previous_age"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (-1, InvalidTimestamp),
        (2**64, InvalidTimestamp),
        (None, TypeError),
        (1.5, TypeError),
        (True, TypeError),
    ],
)
def test_limits_of_time(backend: Backend, name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        backend.SymKey(KEY, **{name: value})
    most: dict[str, Any] = {name: 2**64 - 1}
    backend.SymKey(KEY, **most)


def test_no_timestamp_means_the_systems_clock(backend: Backend) -> None:
    sym, *_, signed = instances(backend)
    for context in (sym, signed):
        message = context.protect(b"payload")
        assert context.unprotect(message) == b"payload"
        assert context.unprotect_many(context.protect_many([b"a", b""])) == [b"a", b""]
        assert context.unprotect(message, None) == b"payload"


def test_the_extreme_timestamps_round_trip(backend: Backend) -> None:
    for now in (0, 2**64 - 1):
        sym, *_, signed = instances(backend)
        for context in (sym, signed):
            assert context.unprotect(context.protect(b"payload", now), now) == b"payload"


def test_errors_in_a_batch_stand_in_their_places(backend: Backend) -> None:
    sym, *_, signed = instances(backend)
    for context in (sym, signed):
        good, *_ = context.protect_many([b"payload"], T0)
        results = context.unprotect_many([good, b"short", good[:-1] + b"\xff", good], T0)
        assert results[0] == results[3] == b"payload"
        assert isinstance(results[1], E4Error)
        assert isinstance(results[2], E4Error)
        assert results[1].__traceback__ is None


def test_contexts_are_shared_by_threads(backend: Backend) -> None:
    sym, *_, signed = instances(backend)
    payloads = [bytes([n]) * n for n in range(1, 200)]
    for context in (sym, signed):
        messages = context.protect_many(payloads, T0)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda p, c=context: c.protect(p, T0), payloads)) == messages
            assert list(pool.map(lambda m, c=context: c.unprotect(m, T0), messages)) == payloads


def test_argon2i_parameters_are_input_errors(backend: Backend) -> None:
    right: dict[str, Any] = {"time_cost": 1, "memory_kib": 32, "lanes": 4, "length": 4}
    assert len(backend.argon2i(b"", b"", **right)) == 4
    for wrong in ({"time_cost": 0}, {"memory_kib": 31}, {"lanes": 0}, {"lanes": 5}, {"length": 3}):
        with pytest.raises(InvalidInput):
            backend.argon2i(b"", b"", **(right | wrong))
