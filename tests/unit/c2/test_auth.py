"""Tokens, roles and the limit on failed attempts, on both databases."""

from __future__ import annotations

import dataclasses
import hashlib
import re

import pytest

from e4.c2.auth import Authenticator, _Failures, allows, new_secret, require, secret_hash
from e4.c2.model import ANYBODY, Actor, Call, Right, Role
from e4.c2.service import Service
from e4.errors import (
    Conflict,
    InvalidName,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TooManyAttempts,
    Unauthenticated,
)
from tests.unit.c2._world import CALL, World, symkey_only

PEER = "192.0.2.7"


class Seconds:
    """A monotonic clock, moved by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def authenticator(world: World, seconds: Seconds) -> Authenticator:
    return Authenticator(world.store, required=True, clock=world.clock, monotonic=seconds)


class TestRoles:
    def test_rights(self) -> None:
        table = {
            Role.VIEWER: {Right.VIEW},
            Role.OPERATOR: {Right.VIEW, Right.OPERATE},
            Role.ADMIN: {Right.VIEW, Right.OPERATE, Right.ADMINISTER},
        }
        for role, rights in table.items():
            for protect in (False, True):
                actor = Actor("x", role, protect)
                assert {r for r in Right if allows(actor, r)} == rights | (
                    {Right.PROTECT} if protect else set()
                )

    def test_require(self) -> None:
        require(ANYBODY, Right.ADMINISTER)
        with pytest.raises(PermissionDenied, match="protect"):
            require(Actor("x", Role.ADMIN, protect=False), Right.PROTECT)


class TestSecrets:
    def test_form(self) -> None:
        secrets = {new_secret() for _ in range(100)}
        assert len(secrets) == 100
        assert all(re.fullmatch(r"e4_[A-Za-z0-9_-]{43}", secret) for secret in secrets)

    def test_hash(self) -> None:
        secret = new_secret()
        assert secret_hash(secret) == hashlib.sha256(secret.encode()).digest()


@symkey_only
class TestTokens:
    def test_made_and_used(self, service: Service, authenticator: Authenticator, world: World) -> None:
        token, secret = service.tokens.new_token(CALL, "ada", Role.OPERATOR, True)
        assert authenticator.actor_of(secret, PEER) == Actor("ada", Role.OPERATOR, True, token.id)
        assert service.tokens.page_tokens(CALL).items == [token]
        assert world.audit() == [("new_token", "ada", "done")]
        assert secret not in repr(token)
        with world.store.read() as tx:
            assert tx.tokens.by_hash(secret_hash(secret)) == token

    def test_revoked(self, service: Service, authenticator: Authenticator, world: World) -> None:
        token, secret = service.tokens.new_token(CALL, "ada", Role.OPERATOR, True)
        authenticator.actor_of(secret, PEER)
        service.tokens.revoke_token(CALL, token.id)
        with pytest.raises(Unauthenticated):
            authenticator.actor_of(secret, PEER)
        revoked = service.tokens.page_tokens(CALL).items[0]
        assert revoked == dataclasses.replace(token, revoked_at=world.clock())
        assert world.audit()[-1] == ("revoke_token", "ada", "done")
        service.tokens.revoke_token(CALL, token.id)
        with pytest.raises(NotFound):
            service.tokens.revoke_token(CALL, token.id + 1)

    def test_expires(self, service: Service, authenticator: Authenticator, world: World) -> None:
        _, secret = service.tokens.new_token(CALL, "ada", Role.VIEWER, False, world.clock() + 60_000)
        authenticator.actor_of(secret, PEER)
        world.clock.tick(60)
        with pytest.raises(Unauthenticated):
            authenticator.actor_of(secret, PEER)

    def test_bad_requests(self, service: Service, world: World) -> None:
        service.tokens.new_token(CALL, "ada", Role.VIEWER, False)
        with pytest.raises(Conflict):
            service.tokens.new_token(CALL, "ada", Role.VIEWER, False)
        with pytest.raises(InvalidName):
            service.tokens.new_token(CALL, "", Role.VIEWER, False)
        with pytest.raises(InvalidRequest):
            service.tokens.new_token(CALL, "bob", Role.VIEWER, False, world.clock())

    def test_pages(self, service: Service) -> None:
        tokens = [service.tokens.new_token(CALL, f"t{i}", Role.VIEWER, False)[0] for i in range(5)]
        page = service.tokens.page_tokens(CALL, limit=3)
        assert page.items == tokens[:3]
        assert service.tokens.page_tokens(CALL, page.next, 3).items == tokens[3:]

    def test_acts_in_its_holders_name(
        self, service: Service, authenticator: Authenticator, world: World
    ) -> None:
        _, secret = service.tokens.new_token(CALL, "ada", Role.VIEWER, False)
        with pytest.raises(PermissionDenied):
            service.topics.new_topic(Call(authenticator.actor_of(secret, PEER), "r", PEER), "t")
        row = service.audit.page_audit(CALL).items[0]
        assert (row.actor, row.peer, row.operation, row.outcome) == (
            "ada",
            PEER,
            "new_topic",
            "PermissionDenied",
        )


@symkey_only
class TestRefusals:
    def test_not_required(self, world: World) -> None:
        open_to_all = Authenticator(world.store, required=False)
        assert open_to_all.actor_of(None, PEER) is ANYBODY
        assert open_to_all.actor_of("nonsense", PEER) is ANYBODY
        assert not open_to_all.required

    def test_wrong_ones_all_sound_alike(
        self, service: Service, authenticator: Authenticator, world: World
    ) -> None:
        revoked, revoked_secret = service.tokens.new_token(CALL, "a", Role.ADMIN, True)
        service.tokens.revoke_token(CALL, revoked.id)
        _, expired = service.tokens.new_token(CALL, "b", Role.ADMIN, True, world.clock() + 1)
        world.clock.tick()
        texts = set()
        for token in (revoked_secret, expired, new_secret(), "", "e4_", "\ud800", "\0", "x" * 100_000):
            with pytest.raises(Unauthenticated) as caught:
                authenticator.actor_of(token, PEER)
            texts.add(str(caught.value))
        assert len(texts) == 1

    def test_the_limit_is_per_address_and_minute(
        self, authenticator: Authenticator, seconds: Seconds
    ) -> None:
        for _ in range(10):
            with pytest.raises(Unauthenticated):
                authenticator.actor_of(new_secret(), PEER)
            seconds.now += 1
        with pytest.raises(TooManyAttempts):
            authenticator.actor_of(new_secret(), PEER)
        with pytest.raises(Unauthenticated):
            authenticator.actor_of(new_secret(), "192.0.2.8")
        seconds.now += 50.5  # the first failure is a minute ago
        with pytest.raises(Unauthenticated):
            authenticator.actor_of(new_secret(), PEER)
        with pytest.raises(TooManyAttempts):
            authenticator.actor_of(new_secret(), PEER)

    def test_wrong_ones_are_audited_within_the_limit(self, service: Service, world: World) -> None:
        authenticator = Authenticator(world.store, required=True, refused=service.refused_token)
        secret = new_secret()
        for number in range(15):
            with pytest.raises((Unauthenticated, TooManyAttempts)):
                authenticator.actor_of(secret, PEER, f"request-{number}")
        with pytest.raises(Unauthenticated):
            authenticator.actor_of(None, PEER, "without")
        rows = service.audit.page_audit(CALL).items
        assert [row.request_id for row in rows] == [f"request-{number}" for number in reversed(range(10))]
        assert {(row.actor, row.peer, row.operation, row.outcome) for row in rows} == {
            ("", PEER, "authenticate", "Unauthenticated")
        }
        assert secret not in repr(rows)
        assert service.audit.verify_audit(CALL).broken is None

    def test_a_request_without_credentials_is_no_attempt(self, authenticator: Authenticator) -> None:
        for _ in range(50):
            with pytest.raises(Unauthenticated):
                authenticator.actor_of(None, PEER)

    def test_good_tokens(self, service: Service, authenticator: Authenticator) -> None:
        """Use is not limited; over the limit, one used lately goes on, and a guess is not even looked up."""
        token, used = service.tokens.new_token(CALL, "used", Role.VIEWER, False)
        _, fresh = service.tokens.new_token(CALL, "fresh", Role.VIEWER, False)
        for _ in range(50):
            authenticator.actor_of(used, PEER)
        for _ in range(10):
            with pytest.raises(Unauthenticated):
                authenticator.actor_of(new_secret(), PEER)
        assert authenticator.actor_of(used, PEER).name == "used"
        with pytest.raises(TooManyAttempts):
            authenticator.actor_of(fresh, PEER)
        assert authenticator.actor_of(fresh, "192.0.2.8").name == "fresh"
        assert authenticator.actor_of(fresh, PEER).name == "fresh"
        service.tokens.revoke_token(CALL, token.id)
        with pytest.raises(TooManyAttempts):
            authenticator.actor_of(used, PEER)


class TestFailures:
    def test_an_ipv6_network_is_one_caller(self, seconds: Seconds) -> None:
        failures = _Failures(2, 60, seconds)
        for last in range(2):
            assert not failures.add(f"2001:db8::{last:x}")
        assert failures.exceeded("2001:db8::ffff")
        assert not failures.exceeded("2001:db8:0:1::")
        for _ in range(2):
            failures.add("::ffff:192.0.2.1")
        assert failures.exceeded("192.0.2.1")
        assert not failures.exceeded("192.0.2.2")
        failures.add("unix socket")
        assert not failures.exceeded("unix socket")

    def test_memory_is_bounded(self, seconds: Seconds) -> None:
        failures = _Failures(2, 60, seconds)
        for number in range(30_000):
            failures.add(f"peer {number}")
        assert len(failures._times) == 10_000
        for _ in range(100):
            failures.add("peer")
        assert len(failures._times["peer"]) == 2
