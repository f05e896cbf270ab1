"""Certificate and key: what can be served, and in which words the rest is refused."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy.config import ConfigError, load_config
from airoxy.config.certificate import RENEWED, is_hidden, own_certificate, read_certificate
from tests.config.conftest import Complaints, Write
from tests.upstream.certificates import Authority

Read = Callable[..., object]


@pytest.fixture
def read(write: Write) -> Read:
    """The identity of a configuration with these paths."""

    def read(certificate: Path, key: Path, **environ: str) -> object:
        path = write(f"tls:\n  certificate: {certificate}\n  key: {key}\n")
        return read_certificate(load_config(path), environ)

    return read


@pytest.fixture
def refusal(read: Read, tmp_path: Path) -> Callable[[Path, Path], str]:
    """What is said of a pair, with F for the configuration."""

    def refusal(certificate: Path, key: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            read(certificate, key)
        assert "\n" not in caught.value.message
        return caught.value.message.replace(str(tmp_path / "airoxy.yaml"), "F")

    return refusal


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def test_without_tls_there_is_no_identity(write: Write) -> None:
    for content in ("", "tls:\n", "tls: {certificate: null, key: null}"):
        assert read_certificate(load_config(write(content))) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "tls:\n  certificate: /a.pem\n",
            "F:2: tls.key: is missing; give it with tls.certificate, or remove both for plain HTTP",
        ),
        (
            "tls:\n  certificate:\n  key: /a.pem\n",
            "F:2: tls.certificate: is missing; give it with tls.key, or remove both for plain HTTP",
        ),
        (
            "tls:\n  certificate: /a.pem\n  key: b.pem\n",
            "F:3: tls.key: b.pem does not begin with /; give the whole path of a file, beginning"
            " with /, or null for plain HTTP",
        ),
    ],
)
def test_certificate_and_key_go_together(complaints: Complaints, content: str, said: str) -> None:
    assert complaints(content) == [said]


def test_a_pair_can_be_served(read: Read, authority: Authority) -> None:
    certificate, key = authority.files()
    certificate = read(certificate, key)
    certificate.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # type: ignore[attr-defined]
    assert "PRIVATE" not in repr(certificate)


def test_what_a_reload_has_passed_wins_over_what_the_start_did(
    read: Read, authority: Authority, tmp_path: Path
) -> None:
    places = {"CREDENTIALS_DIRECTORY": tmp_path / "start", "RUNTIME_DIRECTORY": tmp_path / "run"}
    environ = {name: str(place) for name, place in places.items()}
    texts = []
    for place in places.values():
        certificate, key = authority.files()
        place.mkdir()
        (place / "airoxy-tls-certificate").write_bytes(certificate.read_bytes())
        (place / "airoxy-tls-key").write_bytes(key.read_bytes())
        (place / RENEWED).write_bytes(certificate.read_bytes() + key.read_bytes())
        texts.append(certificate.read_bytes())
    nowhere = Path("/nowhere/x.pem")
    assert read(nowhere, nowhere, **environ).certificate == texts[1]  # type: ignore[attr-defined]
    (places["RUNTIME_DIRECTORY"] / RENEWED).unlink()
    assert read(nowhere, nowhere, **environ).certificate == texts[0]  # type: ignore[attr-defined]


def test_what_cannot_be_served_is_refused_with_line_and_file(
    refusal: Callable[[Path, Path], str], authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.files()
    _, other = authority.files()
    rsa, locked, cut = tmp_path / "rsa.key", tmp_path / "locked.key", tmp_path / "cut.pem"
    openssl("genrsa", "-out", rsa, "2048")
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:test", "-out", locked)
    cut.write_text(certificate.read_text()[:300])
    nothing = tmp_path / "nothing"

    assert refusal(nothing, key).startswith(
        f"F:2: tls.certificate: {nothing} cannot be read (No such file or directory); "
    )
    assert refusal(tmp_path, key).startswith(f"F:2: tls.certificate: {tmp_path} cannot be read (Is")
    assert f"F:2: tls.certificate: {key} holds no certificate" in refusal(key, key)
    assert f"F:3: tls.key: {certificate} holds no private key" in refusal(certificate, certificate)
    assert f"F:2: tls.certificate: {cut} holds no certificate" in refusal(cut, key)
    assert f"F:3: tls.key: {locked} is locked with a passphrase" in refusal(certificate, locked)
    for stranger in (other, rsa):
        told = refusal(certificate, stranger)
        assert f"F:3: tls.key: {stranger} does not belong to {certificate}" in told


def test_a_key_that_is_not_ours_to_read_is_hidden(
    write: Write, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = authority.files()
    config = load_config(write(f"tls: {{certificate: {certificate}, key: {key}}}"))
    assert not is_hidden(config)

    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert is_hidden(config)
    with pytest.raises(ConfigError, match="may not be read; with systemd try: sudo airoxy reload"):
        read_certificate(config)


def test_the_servers_own_certificate_is_the_first(authority: Authority, tmp_path: Path) -> None:
    certificate, _ = authority.files()
    chain = tmp_path / "fullchain.pem"
    chain.write_text(certificate.read_text() + (authority.directory / "ca.pem").read_text())
    assert own_certificate(chain) == ssl.PEM_cert_to_DER_cert(certificate.read_text())
