"""What the systemd generator writes for which configuration."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from airoxy.config import SETTINGS, make_config
from airoxy.config.certificate import CERTIFICATE_CREDENTIAL, KEY_CREDENTIAL
from tests.generator.drop_ins import (
    ROOT,
    SERVICE,
    SOCKET,
    TIMER,
    Generate,
    needs_systemd,
    settings,
)

# -- addresses


def test_the_shipped_file_needs_no_drop_in(generate: Generate, said: list[str]) -> None:
    assert generate((ROOT / "etc" / "airoxy.yaml").read_text()) == {}
    assert generate("") == {}
    assert said == []


def test_without_a_file_there_is_nothing_to_do(
    generator: ModuleType, said: list[str], tmp_path: Path
) -> None:
    assert generator.main(["", str(tmp_path / "out")], tmp_path / "none.yaml") == 0
    assert not (tmp_path / "out").exists()
    assert said == []


def test_a_port_moves_the_socket_and_says_where_it_comes_from(generate: Generate) -> None:
    assert generate("# here\nport: 3801\n") == {
        SOCKET: (
            "# From F:2 (port).\n"
            "# Written anew at boot and at daemon-reload.\n"
            "\n"
            "[Socket]\n"
            "ListenStream=\n"
            "ListenStream=3801\n"
        )
    }


@pytest.mark.parametrize(
    ("host", "listen"),
    [
        ("127.0.0.1", ["127.0.0.1:3800"]),
        ("0.0.0.0", ["0.0.0.0:3800"]),
        ('"::"', ["[::]:3800"]),
        ("2001:db8::7", ["[2001:db8::7]:3800"]),
    ],
)
def test_a_host_is_the_only_address_the_socket_listens_on(
    generate: Generate, host: str, listen: list[str]
) -> None:
    assert settings(generate(f"host: {host}\n")[SOCKET]) == [
        "[Socket]",
        "ListenStream=",
        *(f"ListenStream={address}" for address in listen),
        "FreeBind=yes",
        "BindIPv6Only=ipv6-only",
    ]


@pytest.mark.parametrize("ipv6", [True, False])
def test_localhost_is_both_loopbacks_as_far_as_the_kernel_has_them(
    generate: Generate, monkeypatch: pytest.MonkeyPatch, ipv6: bool
) -> None:
    exists = os.path.exists
    monkeypatch.setattr(
        os.path, "exists", lambda path: ipv6 if path == "/proc/net/if_inet6" else exists(path)
    )
    lines = settings(generate("host: localhost\nport: 3801\n")[SOCKET])
    assert "ListenStream=127.0.0.1:3801" in lines
    assert ("ListenStream=[::1]:3801" in lines) is ipv6


# -- interval


def test_an_interval_moves_the_timer(generate: Generate) -> None:
    drop_ins = generate("token_refresh_interval: 420")
    assert list(drop_ins) == [TIMER]
    assert "# From F:1 (token_refresh_interval).\n" in drop_ins[TIMER]
    assert settings(drop_ins[TIMER]) == [
        "[Timer]",
        "OnCalendar=",
        "OnCalendar=*-*-* 00,07,14,21:00:00 UTC",
    ]


def events(calendar: str, count: int) -> list[datetime]:
    """When a calendar event elapses, as systemd sees it, from the first midnight of 2027 on."""
    done = subprocess.run(
        ["systemd-analyze", "calendar", calendar, f"--iterations={count}"]
        + ["--base-time=2026-12-31 23:59:59 UTC"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"},
    )
    marks = ("Next elapse: ", "Iter. #", "Iteration #")
    return [
        datetime.strptime(line.partition(": ")[2], "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        for line in map(str.strip, done.stdout.splitlines())
        if line.startswith(marks)
    ]


@needs_systemd
@pytest.mark.parametrize("interval", [5, 7, 45, 60, 90, 97, 360, 420, 480, 1439, 1440])
def test_systemd_sees_the_timer_elapse_every_interval_from_midnight_on(
    generator: ModuleType, interval: int
) -> None:
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    wanted = [midnight + timedelta(minutes=m) for m in range(0, 1440, interval)]
    reset, *lines = generator.calendar(make_config({"token_refresh_interval": interval}))
    assert reset == "OnCalendar="
    seen: list[datetime] = []
    for line in lines:
        name, _, value = line.partition("=")
        if name == "OnCalendar":
            seen += events(value, len(wanted))
    assert sorted(set(seen))[: len(wanted)] == wanted


def test_times_close_together_are_not_jumbled_by_the_random_delay(generator: ModuleType) -> None:
    def delays(interval: int) -> list[str]:
        lines = generator.calendar(make_config({"token_refresh_interval": interval}))
        return [line for line in lines if line.startswith("RandomizedDelaySec=")]

    unit = (ROOT / "systemd" / "airoxy-refresh-tokens.timer").read_text().splitlines()
    assert "RandomizedDelaySec=10min" in unit
    assert delays(60) == []
    assert delays(30) == ["RandomizedDelaySec=300s"]


# -- tls

PAIR = "tls:\n  certificate: /etc/tls/100%/a b.pem\n  key: /etc/tls/key.pem\n"


def test_certificate_and_key_are_passed_to_the_service_at_start_and_reload(
    generate: Generate,
) -> None:
    text = generate(PAIR)[SERVICE]
    assert text.startswith("# From F:2 (tls.certificate) and F:3 (tls.key).\n")
    unit = (ROOT / "systemd" / "airoxy.service").read_text().splitlines()
    assert settings(text) == [
        "[Service]",
        f"LoadCredential={CERTIFICATE_CREDENTIAL}:/etc/tls/100%%/a b.pem",
        f"LoadCredential={KEY_CREDENTIAL}:/etc/tls/key.pem",
        "ExecReload=",
        "ExecReload=+/usr/bin/airoxy job pass-certificate",
        *(line for line in unit if line.startswith("ExecReload=")),
    ]


@pytest.mark.parametrize("half", ["certificate: /a.pem", "key: /a.pem", "key: a.pem"])
def test_half_a_pair_is_not_passed_and_does_not_move_the_socket(
    generate: Generate, said: list[str], half: str
) -> None:
    found = generate(f"port: 3801\ntls: {{{half}}}\n")
    assert list(found) == [SOCKET]
    assert "airoxy will not start so" in said[0]


@needs_systemd
def test_the_units_with_the_drop_ins_are_what_systemd_verifies(
    generate: Generate, tmp_path: Path
) -> None:
    units = tmp_path / "units"
    units.mkdir()
    (units / "airoxy.socket").write_text("[Socket]\nListenStream=3800\n")
    (units / "airoxy.service").write_text("[Service]\nExecStart=/bin/true\n")
    (units / "airoxy-refresh-tokens.timer").write_text("[Timer]\nOnCalendar=daily\n")
    (units / "airoxy-refresh-tokens.service").write_text("[Service]\nExecStart=/bin/true\n")
    found = generate(f"host: localhost\ntoken_refresh_interval: 7\n{PAIR}")
    for name, text in found.items():
        (units / name).parent.mkdir()
        (units / name).write_text(text.replace("/usr/bin/airoxy", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(unit.partition(".d/")[0] for unit in found)],
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- the units as shipped


def test_the_socket_as_shipped_is_what_the_defaults_ask_for() -> None:
    unit = (ROOT / "systemd" / "airoxy.socket").read_text().splitlines()
    listen = [line for line in unit if line.startswith("ListenStream=")]
    assert SETTINGS["host"].default is None
    assert listen == [f"ListenStream={SETTINGS['port'].default}"]


@needs_systemd
def test_the_timer_as_shipped_is_what_the_default_asks_for(generator: ModuleType) -> None:
    unit = (ROOT / "systemd" / "airoxy-refresh-tokens.timer").read_text().splitlines()
    # Resetting OnCalendar= resets every other trigger too, so there may be no other.
    triggers = [line for line in unit if line.startswith("On")]
    wanted = generator.calendar(make_config())[1:]
    assert len(triggers) == len(wanted) == 1
    (unit_says, we_say) = (line.partition("=")[2] for line in triggers + wanted)
    assert events(unit_says, 5) == events(we_say, 5)


# -- backups


def test_the_nightly_job_may_write_where_its_copies_go(generate: Generate) -> None:
    assert generate("backup:\n  directory: /srv/my 10% backups\n") == {
        "airoxy-tidy-log.service.d/10-airoxy-yaml.conf": (
            "# From F:2 (backup.directory).\n"
            "# Written anew at boot and at daemon-reload.\n"
            "\n"
            "[Service]\n"
            'ReadWritePaths="-/srv/my 10%% backups"\n'
        )
    }


# -- console


def test_the_console_listens_where_the_configuration_says(generate: Generate) -> None:
    listen = '["192.0.2.7:4000", "[2001:db8::7]:4000", /run/console.sock]'
    drop_ins = generate(f"console:\n  listen: {listen}\n")
    assert list(drop_ins) == ["airoxy-console.socket.d/10-airoxy-yaml.conf"]
    (drop_in,) = drop_ins.values()
    assert "# From F:2 (console.listen).\n" in drop_in
    assert settings(drop_in) == [
        "[Socket]",
        "ListenStream=",
        "ListenStream=192.0.2.7:4000",
        "ListenStream=[2001:db8::7]:4000",
        "ListenStream=/run/console.sock",
        "FreeBind=yes",
        "BindIPv6Only=ipv6-only",
    ]


def test_the_console_is_passed_the_certificate_where_it_speaks_tls(generate: Generate) -> None:
    tls = "tls: {certificate: /etc/c.pem, key: /etc/k.pem}\n"
    assert list(generate(tls)) == [SERVICE]
    drop_ins = generate(tls + "console: {tls: true}\n")
    assert settings(drop_ins["airoxy-console.service.d/10-airoxy-yaml.conf"]) == [
        "[Service]",
        "LoadCredential=airoxy-tls-certificate:/etc/c.pem",
        "LoadCredential=airoxy-tls-key:/etc/k.pem",
    ]


def test_a_mistake_in_the_consoles_addresses_leaves_all_units_alone(
    generate: Generate, said: list[str]
) -> None:
    assert generate("port: 3999\nconsole: {listen: nowhere}\n") == {}
    assert "console.listen" in said[0]
