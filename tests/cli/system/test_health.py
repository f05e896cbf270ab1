"""Asking the own server over TLS: only who has the configured certificate is believed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from airoxy.cli.system.health import HealthAnswer, ask_server, own_server
from airoxy.config import Tls
from tests.program import Airoxy
from tests.upstream.certificates import Authority


def ask(airoxy: Airoxy, certificate: Path | None) -> HealthAnswer:
    return ask_server("127.0.0.1", airoxy.port, own_server(Tls(certificate, certificate)))


def test_the_server_with_the_configured_certificate_is_asked(
    secured: Airoxy, authority: Authority
) -> None:
    mine = Path(secured.settings["tls"]["certificate"])
    found = ask(secured, mine)
    assert (found.url, found.status) == (f"{secured.url}/health", 503)
    own = own_server(Tls(mine, mine))
    mine.unlink()
    assert ask_server("127.0.0.1", secured.port, own).status == 503
    other, _ = authority.files()
    found = ask(secured, other)
    assert found.status is None
    assert str(found) == f"another certificate than {other} is shown there; sudo airoxy reload"


def test_what_is_in_force_and_what_is_configured_may_differ(
    secured: Airoxy, airoxy: Airoxy
) -> None:
    tls = Path(secured.settings["tls"]["certificate"])
    assert str(ask(secured, None)) == "TLS is spoken there; sudo airoxy reload"
    assert str(ask(airoxy, tls)) == "no TLS is spoken there; sudo airoxy reload"


def test_a_certificate_that_cannot_be_used_is_said(secured: Airoxy, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    assert "holds no certificate" in str(ask(secured, empty))
    gone = tmp_path / "gone.pem"
    assert "No such file" in str(ask(secured, gone))


def test_doctor_and_config_check_work_with_tls(secured: Airoxy) -> None:
    secured.token("sk-ant-api-test-one")
    assert "https://127.0.0.1" in secured.run("doctor").stdout
    assert "is fine." in secured.cli("config", "check")
    Path(secured.settings["tls"]["key"]).write_text("nothing")
    assert "tls.key" in secured.run("config", "check").stderr
    assert secured.run("config", "check").returncode == 78


def test_a_certificate_is_handed_to_the_service_whole_and_for_it_alone(
    secured: Airoxy, tmp_path: Path, monkeypatch
) -> None:
    assert "Only systemd runs this" in secured.run("job", "pass-certificate").stderr
    place = tmp_path / "run"
    place.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(place))
    (place / "tls.pem.unfinished").touch()  # somebody was killed here
    secured.cli("job", "pass-certificate")
    (file,) = place.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    texts = [Path(path).read_bytes() for path in secured.settings["tls"].values()]
    assert all(text in file.read_bytes() for text in texts)
    Path(secured.settings["tls"]["key"]).write_text("nothing")
    assert secured.run("job", "pass-certificate").returncode == 78
    assert os.listdir(place) == ["tls.pem"]
    secured.write_config(tls=None)
    secured.cli("job", "pass-certificate")
    assert os.listdir(place) == []
