"""The timers, with their calendars and stamps shifted so that nobody has to wait."""

import json

import pytest

from tests.system.site import until

TIMERS = ("airoxy-refresh-tokens", "airoxy-tidy-log")


def runs(machine, job):
    """How often the job has run since the boot."""
    lines = machine.journal(f"--output=json -u {job}.service")
    messages = [json.loads(line).get("MESSAGE", "") for line in lines.splitlines()]
    return sum("Finished" in str(text) for text in messages)


def pause(machine, job):
    """Stop the timer, and end the run of what was due since the installation: the machine was off
    meanwhile. Gives how often the job has run."""
    machine.run(f"systemctl stop {job}.timer {job}.service")
    return runs(machine, job)


def soon(machine, job, calendar=None):
    """Let the timer not wait for chance, nor for its calendar if another is given."""
    lines = ["[Timer]", "RandomizedDelaySec=0", "AccuracySec=1ms"]
    if calendar:
        lines += ["OnCalendar=", f"OnCalendar={calendar}"]
    machine.put(f"/etc/systemd/system/{job}.timer.d/soon.conf", "\n".join([*lines, ""]))
    machine.run("systemctl daemon-reload")


@pytest.mark.parametrize("job", TIMERS)
def test_a_timer_fires_when_its_time_comes(computer, job):
    before = pause(computer, job)
    at = computer.run("date --utc --date='+2 seconds' '+%Y-%m-%d %H:%M:%S UTC'").strip()
    soon(computer, job, at)
    computer.run(f"systemctl start {job}.timer")
    until(lambda: runs(computer, job) == before + 1)


@pytest.mark.parametrize("job", TIMERS)
def test_a_run_that_was_missed_is_made_up_for(computer, job):
    """The machine was off for two days, and the timer's own calendar was due meanwhile."""
    before = pause(computer, job)
    soon(computer, job)
    computer.run(f"touch --date='-2 days' /var/lib/systemd/timers/stamp-{job}.timer")
    computer.run(f"systemctl start {job}.timer")
    until(lambda: runs(computer, job) == before + 1)


def test_an_installation_fires_nothing(computer):
    computer.run("apt-get purge --yes airoxy")
    before = [runs(computer, job) for job in TIMERS]
    computer.run("apt-get install --yes /root/airoxy.deb")
    for job in TIMERS:
        assert computer.run(f"systemctl is-active {job}.timer") == "active\n"
    assert [runs(computer, job) for job in TIMERS] == before


@pytest.mark.parametrize("job", TIMERS)
def test_with_nothing_to_do_a_job_writes_nothing_and_succeeds(site, job):
    contents = "cat /var/lib/airoxy/airoxy.db /var/lib/airoxy/airoxy.db-wal | sha256sum"
    health = "curl -s http://127.0.0.1:3800/health"
    until(lambda: '"log_rows_waiting": 0' in site.machine.run(health))
    # What the site's first request left is of yesterday if midnight has come since.
    site.machine.run(f"systemctl start {job}.service")
    before = site.machine.run(contents)
    site.machine.run(f"systemctl start {job}.service")
    assert site.machine.run(contents) == before
    assert site.machine.journal(f"--priority=warning -u {job}.service") == ""


def test_a_refresh_that_fails_is_seen(site):
    machine = site.machine
    machine.put("/etc/airoxy/airoxy.yaml", "oauth: {endpoint: 'http://127.0.0.1:4999/'}\n")
    pair = "sk-ant-oat-test-gone sk-ant-ort-test-gone\n"
    machine.run("airoxy token add - --name gone --expires-in 60", stdin=pair)
    status, _ = machine.status("systemctl start airoxy-refresh-tokens.service")
    assert status != 0
    assert "airoxy-refresh-tokens.service" in machine.run("systemctl --failed --no-legend")
    assert "gone" in site.journal("airoxy-refresh-tokens.service")
    assert "sk-ant" not in site.journal("airoxy-refresh-tokens.service")
    # The next run that succeeds makes up for it.
    machine.run("airoxy token remove 2 && systemctl start airoxy-refresh-tokens.service")
    assert machine.run("systemctl --failed --no-legend") == ""
