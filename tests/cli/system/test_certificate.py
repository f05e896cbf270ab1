"""What `config check` and `reload` make of a certificate that clients would not accept."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy.cli.command import Context
from airoxy.cli.config import GROUP as CONFIG
from airoxy.cli.system import services
from airoxy.errors import ConfigError
from tests.cli.terminal import Screen
from tests.conftest import Clock
from tests.upstream.certificates import Authority

HERE = "proxy.example.org"
#: The tests' clock shows 22 November 2026.
EXPIRED = "20261121000000Z"

Told = Callable[..., str]


@pytest.fixture
def context(
    tmp_path: Path, authority: Authority, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Context]:
    """A configuration with a certificate that was made for these names."""
    monkeypatch.setattr(socket, "gethostname", lambda: "proxy")
    monkeypatch.setattr(socket, "getfqdn", lambda: HERE)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.directory / "ca.pem"))

    def make(names: str = f"DNS:{HERE}", now: float | None = None, **made: str) -> Context:
        certificate, key = authority.files(names, **made)
        key.chmod(0o600)
        path = tmp_path / "airoxy.yaml"
        path.write_text(json.dumps({"tls": {"certificate": str(certificate), "key": str(key)}}))
        if now is not None:
            clock.now = now
        return Context(path, out=Screen(), err=Screen(), clock=clock)

    return make


def check(context: Context) -> str:
    """What `config check` warns of."""
    (command,) = (each for each in CONFIG.commands if each.name == "check")
    command.run(context, argparse.Namespace(file=None))
    assert isinstance(context.err, Screen)
    return context.err.getvalue()


def test_a_good_one_is_fine(context) -> None:
    assert check(context()) == ""


def test_an_expired_one_is_a_mistake_with_its_place(context) -> None:
    with pytest.raises(ConfigError) as caught:
        check(context(until=EXPIRED))
    assert "airoxy.yaml:1: tls.certificate: " in caught.value.message
    assert "expired on 2026-11-21. Renew it" in caught.value.message
    assert caught.value.exit_status == 78


def test_one_that_is_not_valid_yet_is_a_mistake(context) -> None:
    with pytest.raises(ConfigError, match="is not valid yet"):
        check(context(now=1_500_000_000.0))


def test_one_that_soon_expires_is_warned_of(context) -> None:
    assert "until 2026-11-30 only. Renew it" in check(context(until="20261130000000Z"))


def test_other_names_are_warned_of(context) -> None:
    assert "It is for other.example.com, and not for" in check(context("DNS:other.example.com"))


def test_an_issuer_that_nobody_here_trusts_is_warned_of(context, monkeypatch) -> None:
    made = context()
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    assert "its issuer is neither in the file nor known to this system" in check(made)


def test_a_reload_refuses_an_expired_one_and_a_restart_does_not(context) -> None:
    made = context(until=EXPIRED)
    with pytest.raises(ConfigError, match="expired"):
        services._check_configuration(made, strict=True)
    services._check_configuration(made)
    assert "expired on 2026-11-21" in made.err.getvalue()
