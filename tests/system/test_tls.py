"""TLS with a key that only root may read, renewed as certbot does it, on booted machines."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy import __version__
from tests.system.site import CONFIG, Site, read, until
from tests.upstream.certificates import Authority

LIVE = "/etc/letsencrypt/live/api"
TLS = f"tls: {{certificate: {LIVE}/fullchain.pem, key: {LIVE}/privkey.pem}}\n"
NAMES = "DNS:localhost,DNS:api.example.org,IP:127.0.0.1"

Renew = Callable[[], str]


@pytest.fixture
def renew(site: Site, tmp_path: Path) -> Renew:
    """Puts another certificate in the place of the last one; gives its text."""
    authority = Authority(tmp_path / "ca")
    ca = "/usr/local/share/ca-certificates/ours.crt"
    site.machine.put(ca, authority.directory / "ca.pem")
    site.machine.run("update-ca-certificates")

    def renew() -> str:
        certificate, key = authority.files(NAMES)
        site.machine.put(f"{LIVE}/fullchain.pem", certificate)
        site.machine.put(f"{LIVE}/privkey.pem", key, mode=0o600)
        site.machine.run("chown -R root: /etc/letsencrypt; chmod 700 /etc/letsencrypt/live")
        return certificate.read_text().strip()

    return renew


@pytest.fixture
def first(site: Site, renew: Renew) -> str:
    """TLS was turned on, by a reload; the certificate."""
    text = renew()
    site.machine.put("/etc/airoxy/airoxy.yaml", CONFIG + TLS)
    site.machine.run("airoxy reload")
    until(lambda: shown(site) == text)
    return text


def shown(site: Site) -> str:
    """The certificate that a client sees; empty where no TLS is spoken."""
    script = "import ssl; print(ssl.get_server_certificate(('127.0.0.1', 3800), timeout=30))"
    return site.machine.run(f'python3 -c "{script}" 2>/dev/null', check=False).strip()


def ask(site: Site) -> str:
    """What curl says that the server is, verified as by any client."""
    return site.machine.run("curl -sS --max-time 30 https://localhost:3800/", check=False)


def test_a_key_that_only_root_may_read_is_served(site: Site, first: str) -> None:
    machine = site.machine
    assert machine.run(f"stat -c '%U %a' {LIVE}/privkey.pem").strip() == "root 600"
    assert '"name": "airoxy"' in ask(site)
    assert "begin the base URL with https" in machine.run("curl -sS http://localhost:3800/")
    assert "https://127.0.0.1:3800/health" in machine.run("airoxy status")
    # As a terminal has it; root's rights are given up before the server is asked.
    machine.spawn("TERM=linux exec script -qfc 'airoxy top' /root/seen", stdout=subprocess.DEVNULL)
    until(lambda: __version__ in machine.run("cat /root/seen", check=False))  # the server says it
    assert "does not answer" not in read(machine, "/root/seen")
    machine.run("pkill --full '[a]iroxy top'")
    _, told = machine.status("airoxy doctor")
    assert "good for localhost, api.example.org, 127.0.0.1 until 2099-01-01" in told
    assert "FAIL" not in "\n".join(line for line in told.splitlines() if "upstream" not in line)
    assert machine.run("systemctl --failed --no-legend") == ""
    machine.run("systemd-analyze security --threshold=12 airoxy.service")
    assert machine.run("stat -c '%U %a' /run/airoxy/server /run/airoxy/server/tls.pem").split() == [
        "airoxy", "700", "airoxy", "600",
    ]  # fmt: skip
    # From the start on it is a credential, and what the reload has passed is gone.
    machine.run("systemctl restart airoxy")
    until(lambda: shown(site) == first)
    assert machine.run("ls /run/airoxy/server") == ""
    assert "PRIVATE KEY" not in site.journal()


def test_a_renewed_certificate_is_taken_over_by_a_reload_and_outlives_a_crash(
    site: Site, renew: Renew, first: str
) -> None:
    machine = site.machine
    second = renew()
    assert second != first
    assert "sudo airoxy reload" in machine.run("airoxy status", check=False)
    assert shown(site) == first
    machine.run("airoxy doctor --fix", check=False)
    until(lambda: shown(site) == second)
    assert '"name": "airoxy"' in ask(site)
    third = renew()
    machine.run("systemctl reload airoxy")
    until(lambda: shown(site) == third)
    machine.run("systemctl kill --kill-who=all --signal=KILL airoxy.service")
    until(lambda: shown(site) == third)
    assert machine.run("systemctl --failed --no-legend") == ""


def test_a_broken_renewal_keeps_the_old_certificate_and_says_so(
    site: Site, renew: Renew, first: str
) -> None:
    machine = site.machine
    before = site.workers()
    machine.run(f"openssl ecparam -genkey -name prime256v1 -out {LIVE}/privkey.pem")
    status, said = machine.status("airoxy reload")
    assert status == 78
    assert f"airoxy.yaml:2: tls.key: {LIVE}/privkey.pem does not belong to" in said
    status, _ = machine.status("systemctl reload airoxy")
    assert status != 0
    until(lambda: "does not belong to" in site.journal())
    until(lambda: site.state() == "active")
    assert site.workers() == before
    assert shown(site) == first
    second = renew()
    machine.run("airoxy reload")
    until(lambda: shown(site) == second)


def test_without_tls_again_plain_http_is_back(site: Site, first: str) -> None:
    site.machine.put("/etc/airoxy/airoxy.yaml", CONFIG)
    site.machine.run("airoxy reload")
    until(lambda: site.ask() == 200)
    assert "tls" not in site.machine.run("systemctl show -P LoadCredential airoxy.service")
