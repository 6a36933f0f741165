"""Bearer tokens: who is known by one, until when, and how it is told from another."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from policy_service.rpc.errors import CallerNotIdentified
from policy_service.rpc.identity import Identities
from policy_service.vocabulary import Credentials, KnownToken, issue_token
from policy_service.vocabulary import callers as spelling
from tests.support.callers import bearer
from tests.support.rpc import question

WHY = {"actor": "olga", "reason": "a test"}
CHECK = ("Check", question("olive", "dr-a", "claim:view"))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Context:
    """What gRPC tells of a call over TLS at an address for tokens."""

    def __init__(self, metadata) -> None:
        self._metadata = metadata

    def peer(self) -> str:
        return "ipv4:192.0.2.7:1"

    def invocation_metadata(self):
        return self._metadata

    def auth_context(self):
        return {"transport_security_type": [b"ssl"]}


def identified(text: str, credentials: Credentials, now: datetime) -> str:
    identities = Identities(certificates=True, tokens=True, clock=lambda: now)
    return identities.of(Context(bearer(text)), credentials)


def test_a_token_is_valid_until_its_time_and_not_at_it():
    issued = issue_token()
    known = Credentials({issued.id: KnownToken(caller="claims", digest=issued.digest, expires_at=NOW)})
    assert identified(issued.text, known, NOW - timedelta(microseconds=1)) == "claims"
    for late in (NOW, NOW + timedelta(microseconds=1)):
        with pytest.raises(CallerNotIdentified) as found:
            identified(issued.text, known, late)
        assert found.value.found == "a token that has expired"


def test_that_a_token_has_expired_learns_only_who_holds_it():
    issued = issue_token()
    known = Credentials({issued.id: KnownToken(caller="claims", digest=issued.digest, expires_at=NOW)})
    with pytest.raises(CallerNotIdentified) as found:
        identified(issued.text[:-1] + ("A" if issued.text[-1] != "A" else "B"), known, NOW)
    assert "expired" not in found.value.found


def test_digests_are_compared_in_constant_time_whether_there_is_such_a_token_or_not(monkeypatch):
    """What is compared is SHA-256 of all of the token, by the library's comparison; and nothing else decides."""
    issued, compared = issue_token(), []
    real = spelling.hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(spelling.hmac, "compare_digest", noted)
    known = Credentials({issued.id: KnownToken(caller="claims", digest=issued.digest, expires_at=NOW)})
    stranger = issue_token().text
    for text in (issued.text, issued.text[:-1], stranger, "", "pst_", "x" * 5_000):
        known.find(text)
        assert compared[-1][0] == hashlib.sha256(text.encode()).digest()
        assert len(compared[-1][1]) == 32
    assert len(compared) == 6
    assert real(*compared[0])
    # Were the comparison to say no, nothing else would say yes.
    monkeypatch.setattr(spelling.hmac, "compare_digest", lambda *_: False)
    assert known.find(issued.text) is None


def test_a_token_is_long_recognizable_and_shown_by_no_repr():
    issued = issue_token()
    assert issued.text.startswith(f"pst_{issued.id}_")
    assert len(issued.text.split("_", 2)[2]) == 43
    known = KnownToken(caller="claims", digest=issued.digest, expires_at=NOW)
    for shown in (repr(issued), repr(known), str(issued)):
        assert issued.text not in shown
        assert repr(issued.digest) not in shown
    assert len({issue_token().text for _ in range(100)}) == 100


def test_a_plain_connection_is_nobodys_where_callers_show_certificates():
    identities = Identities(certificates=True, tokens=True)
    for secured in ({}, {"transport_security_type": [b"insecure"]}, {"transport_security_type": [b"local"]}):
        context = Context(())
        context.auth_context = lambda secured=secured: secured
        context.peer = lambda: "ipv4:127.0.0.1:1"
        with pytest.raises(CallerNotIdentified):
            identities.of(context, Credentials({}))
