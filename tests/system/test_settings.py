"""airoxy.yaml and the units: host, port and interval reach systemd, and mistakes do not."""

import re
import shlex
import time

import pytest

from tests.system.site import until

CONFIG = "/etc/airoxy/airoxy.yaml"


def answers(machine, address):
    """Whether airoxy is there; `address` is what stands in a URL."""
    return "200" in machine.run(f"curl -sI --max-time 30 http://{address}/", check=False)


@pytest.mark.parametrize(
    "how", ["airoxy restart", "systemctl daemon-reload && systemctl restart airoxy.socket"]
)
def test_the_socket_follows_host_and_port(computer, how):
    computer.put(CONFIG, "host: 127.0.0.1\nport: 3700\n")
    computer.run(how)
    until(lambda: answers(computer, "127.0.0.1:3700"))
    assert not answers(computer, "[::1]:3700")
    assert not answers(computer, "127.0.0.1:3800")
    told = computer.run("systemctl cat airoxy.socket")
    assert f"{CONFIG}:1 (host)" in told
    assert f"{CONFIG}:2 (port)" in told


@pytest.mark.parametrize("how", ["airoxy restart", "systemctl daemon-reload"])
def test_the_timer_follows_the_interval(computer, how):
    # As if just installed: what was due since then would run now, and not at `due`.
    timer = "airoxy-refresh-tokens.timer"
    stamp = f"/var/lib/systemd/timers/stamp-{timer}"
    computer.run(f"systemctl stop {timer}; rm -f {stamp}; systemctl start {timer}")
    computer.put(CONFIG, "token_refresh_interval: 90\n")
    began = time.time()
    computer.run(how)
    told = computer.run(f"systemctl show -P TimersCalendar {timer}")
    assert "*-*-* 01,04,07,10,13,16,19,22:30:00 UTC" in told
    assert "00/6" not in told
    assert f"{CONFIG}:1 (token_refresh_interval)" in computer.run(f"systemctl cat {timer}")
    elapses = computer.run(f"systemctl show -P NextElapseUSecRealtime {timer}")
    due = float(computer.run(f"date --date='{elapses.strip()}' +%s"))
    assert began <= due <= time.time() + 90 * 60 + 600


@pytest.mark.parametrize("mistake", ["port: many", "port: [", "host: -", "port: 99999"])
def test_a_broken_file_leaves_the_defaults_and_says_so_once(computer, mistake):
    computer.put(CONFIG, f"{mistake}\n")
    computer.run("journalctl --rotate && journalctl --vacuum-time=1s")
    computer.run("systemctl daemon-reload")
    told = computer.journal("--output=cat -t airoxy-generator").splitlines()
    assert len(told) == 1
    assert re.match(rf"{CONFIG}:\d: ", told[0])
    assert "stay at their defaults" in told[0]
    assert computer.run("systemctl show -P Listen airoxy.socket") == "[::]:3800 (Stream)\n"
    assert answers(computer, "127.0.0.1:3800")


def test_a_host_that_is_gone_does_not_disturb_the_boot(boot, computer):
    """An address that this machine does not have, and a machine without IPv6."""
    computer.put(CONFIG, "host: 192.0.2.7\n")
    computer.run("systemctl daemon-reload && systemctl restart airoxy.socket")
    assert computer.run("systemctl is-active airoxy.socket").strip() == "active"
    computer.put(CONFIG, "")
    computer.run("echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6")
    computer.run("systemctl daemon-reload && systemctl restart airoxy.socket")
    until(lambda: answers(computer, "127.0.0.1:3800"))


def quickest(machine, command: list[str]) -> float:
    """The seconds of its own that a command takes at best: the machine has other things to do."""
    program = (
        "import resource, subprocess, sys\n"
        "def used():\n"
        "    usage = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "    return usage.ru_utime + usage.ru_stime\n"
        "times = [used()]\n"
        "for _ in range(10):\n"
        "    subprocess.run(sys.argv[1:], check=True)\n"
        "    times.append(used())\n"
        "print(min(later - earlier for earlier, later in zip(times, times[1:])))"
    )
    return float(machine.run(shlex.join(["python3", "-c", program, *command])))


def test_the_generator_takes_little_more_than_python_with_yaml(computer):
    """It runs early in the boot, and everything waits for it."""
    computer.put(CONFIG, "host: localhost\nport: 3700\ntoken_refresh_interval: 45\n")
    computer.run("mkdir -p /tmp/generated")
    generator = "/usr/lib/systemd/system-generators/airoxy-generator"
    own = quickest(computer, [generator, *["/tmp/generated"] * 3])
    assert own < 5 * quickest(computer, ["python3", "-Ic", "import yaml"])
    assert computer.run("ls /tmp/generated").split() == [
        "airoxy-refresh-tokens.timer.d",
        "airoxy.socket.d",
    ]
