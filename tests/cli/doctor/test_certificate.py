"""What clients may not like about the certificate."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.system.certificate import Parsed
from tests.cli.doctor.ward import Ward
from tests.upstream.certificates import Authority

DAY = 86400
HERE = "proxy.example.org"

Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(ward: Ward, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Look:
    """What is found of a certificate for these names, by state."""
    monkeypatch.setattr(socket, "gethostname", lambda: "proxy")
    monkeypatch.setattr(socket, "getfqdn", lambda: HERE)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.directory / "ca.pem"))

    def look(
        names: str = f"DNS:{HERE}", *, mode: int = 0o600, tail: str = "", **given: str
    ) -> dict[str, Finding]:
        certificate, key = authority.files(names, **given)
        certificate.write_text(certificate.read_text() + tail)
        key.chmod(mode)
        ward.configure(tls={"certificate": str(certificate), "key": str(key)})
        found = [each for each in ward.examine() if each.check == "certificate"]
        return {each.state: each for each in found}

    return look


def test_without_tls_nothing_is_said(ward: Ward) -> None:
    assert all(finding.check != "certificate" for finding in ward.examine())


def test_a_good_one_is_shown_with_names_and_end(look: Look) -> None:
    found = look(f"DNS:{HERE},DNS:*.example.net,IP:192.0.2.7")
    assert list(found) == [OK]
    names = f"{HERE}, *.example.net, 192.0.2.7"
    assert found[OK].text == f"The certificate is good for {names} until 2099-01-01."


@pytest.mark.parametrize(("days", "state"), [(-1, FAIL), (13, WARN), (15, OK)])
def test_its_end_is_told_in_time(look: Look, days: int, state: str) -> None:
    until = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY))
    found = look(until=until)
    assert list(found) == [state]
    assert ("sudo airoxy reload" in found[state].remedy) == (state != OK)


def test_one_that_is_not_valid_yet_is_told(look: Look, ward: Ward) -> None:
    ward.now = 1_500_000_000
    assert "is not valid yet" in look()[FAIL].text


def test_a_chain_that_does_not_lead_to_who_is_trusted_is_told(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path / "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(other.directory / "ca.pem"))
    found = look()
    assert list(found) == [WARN]
    assert "its issuer is neither in the file nor known" in found[WARN].text
    assert "fullchain.pem" in found[WARN].remedy
    found = look(tail=(tmp_path / "authority" / "ca.pem").read_text())
    assert "this system does not trust it (self" in found[WARN].text


def test_another_name_than_this_machines_is_told_with_what_to_do(look: Look) -> None:
    found = look("DNS:api.example.org")
    assert set(found) == {OK, WARN}
    assert f"It is for api.example.org, and not for {HERE} or proxy." in found[WARN].text
    assert "Clients need https://api.example.org:" in found[WARN].remedy
    assert set(look("DNS:*.example.org")) == {OK}


def test_the_address_it_listens_on_counts_as_a_name(look: Look, ward: Ward) -> None:
    ward.settings["host"] = "192.0.2.7"
    assert set(look("IP:192.0.2.7")) == {OK}
    assert "192.0.2.7" in look("DNS:api.example.org")[WARN].text


def test_a_key_that_everybody_may_read_is_told(look: Look) -> None:
    found = look(mode=0o644)
    assert set(found) == {OK, WARN}
    assert "is open to everybody (mode 0644)" in found[WARN].text
    assert set(look(mode=0o640)) == {OK}


def test_a_pair_that_cannot_be_served_is_a_fault(ward: Ward, authority: Authority) -> None:
    certificate, _ = authority.files()
    _, key = authority.files()
    ward.configure(tls={"certificate": str(certificate), "key": str(key)})
    found = ward.complaints()["certificate"]
    assert (found.state, "does not belong to" in found.text) == (FAIL, True)


@pytest.mark.parametrize(
    ("name", "host", "good"),
    [
        ("a.example.org", "A.example.org.", True),
        ("*.example.org", "a.example.org", True),
        ("*.example.org", "a.b.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.0.2.7", "192.0.2.7", False),
        ("192.0.2.7", "192.0.2.7", True),
    ],
)
def test_names_are_matched_as_clients_do(name: str, host: str, good: bool) -> None:
    assert Parsed(0, 1, (name,)).covers(host) is good
