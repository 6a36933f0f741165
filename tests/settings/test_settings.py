"""Settings: a wrong one stops the start and names itself, never its value."""

import pytest

from policy_service.errors import StartError
from policy_service.settings import is_loopback, read_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith("POLICY_"):
            monkeypatch.delenv(name)


def test_defaults_stay_on_this_machine():
    settings = read_settings()
    for address in (settings.decision_address, settings.management_address, settings.metrics_address):
        assert is_loopback(address)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("POLICY_DATABSE_URL", "x", "POLICY_DATABSE_URL"),
        ("POLICY_DECISION_ADDRESS", "127.0.0.1", "POLICY_DECISION_ADDRESS"),
        ("POLICY_DECISION_ADDRESS", "127.0.0.1:99999", "HOST:PORT"),
        ("POLICY_DECISION_ADDRESS", "0.0.0.0:50051", "needs transport security"),
        ("POLICY_MANAGEMENT_ADDRESS", "10.0.0.7:50052", "needs transport security"),
        ("POLICY_DECISION_ADDRESS", "[::]:50051", "needs transport security"),
        ("POLICY_DECISION_ADDRESS", "policy.internal:50051", "needs transport security"),
        ("POLICY_METRICS_ADDRESS", "0.0.0.0:9464", "POLICY_METRICS_BEYOND_LOOPBACK"),
        ("POLICY_METRICS_ADDRESS", "policy.internal:9464", "POLICY_METRICS_BEYOND_LOOPBACK"),
        ("POLICY_TLS_CALLER_URI", "clinic.example", "POLICY_TLS_CALLER_URI"),
        ("POLICY_TLS_CALLER_URI", "spiffe://clinic.example", "POLICY_TLS_CALLER_URI"),
        ("POLICY_MAX_CONNECTIONS", "0", "POLICY_MAX_CONNECTIONS"),
        ("POLICY_MAX_STALENESS_SECONDS", "0", "POLICY_MAX_STALENESS_SECONDS"),
        ("POLICY_MAX_STALENESS_SECONDS", "soon", "POLICY_MAX_STALENESS_SECONDS"),
        ("POLICY_TLS_CERT_FILE", "cert.pem", "or none"),
        ("POLICY_DECISION_TOKEN_ADDRESS", "127.0.0.1:50061", "tokens need TLS"),
        ("POLICY_MANAGEMENT_TOKEN_ADDRESS", "0.0.0.0:50062", "tokens need TLS"),
        ("POLICY_MANAGEMENT_TOKEN_ADDRESS", "50062", "HOST:PORT"),
        ("POLICY_LOG_LEVEL", "loud", "POLICY_LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, name, value, word):
    monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match=word.replace("[", r"\[")):
        read_settings()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"])
def test_loopback_needs_no_transport_security(monkeypatch, address):
    monkeypatch.setenv("POLICY_DECISION_ADDRESS", address)
    assert read_settings().decision_address == address


def test_metrics_are_read_beyond_loopback_if_that_is_said(monkeypatch):
    monkeypatch.setenv("POLICY_METRICS_ADDRESS", "0.0.0.0:9464")
    monkeypatch.setenv("POLICY_METRICS_BEYOND_LOOPBACK", "true")
    assert read_settings().metrics_address == "0.0.0.0:9464"


def test_with_addresses_for_tokens_nobody_need_have_a_certificate_and_the_others_stay_on_loopback(monkeypatch):
    monkeypatch.setenv("POLICY_DECISION_TOKEN_ADDRESS", "0.0.0.0:50061")
    monkeypatch.setenv("POLICY_TLS_CERT_FILE", "cert.pem")
    monkeypatch.setenv("POLICY_TLS_KEY_FILE", "key.pem")
    settings = read_settings()
    assert settings.has_token_address
    assert not settings.has_tls
    monkeypatch.setenv("POLICY_DECISION_ADDRESS", "0.0.0.0:50051")
    with pytest.raises(StartError, match="needs transport security"):
        read_settings()
