"""The package's life: removed and installed again, purged, and what stays after each."""

from tests.system.site import until

#: Where nothing of ours can be, or where every file system has everything.
ELSEWHERE = "-path /proc -o -path /sys -o -path /run/host"


def traces(machine):
    """Every file whose name has to do with airoxy."""
    found = machine.run(
        f"find / -ignore_readdir_race \\( {ELSEWHERE} \\) -prune -o -iname '*airoxy*' -print"
    )
    return [name for name in found.splitlines() if not name.startswith(("/root/", "/opt/"))]


def test_removing_keeps_configuration_and_data_and_reinstalling_finds_them(site):
    machine = site.machine
    machine.run("apt-get remove --yes airoxy")
    assert machine.run("systemctl list-units --all --state=active,failed -q 'airoxy*'") == ""
    assert "4000" in machine.run("cat /etc/airoxy/airoxy.yaml")
    assert "airoxy.db" in machine.run("ls /var/lib/airoxy")
    machine.run("apt-get install --yes /root/airoxy.deb")
    until(lambda: site.ask() == 200)
    for unit in ("airoxy-refresh-tokens.timer", "airoxy-tidy-log.timer"):
        assert machine.run(f"systemctl is-active {unit}").strip() == "active"


def test_purging_leaves_nothing(site):
    machine = site.machine
    machine.run("systemctl restart 'airoxy-*.timer'")
    machine.run("echo 'notify: {mail: [root]}' >> /etc/airoxy/airoxy.yaml")
    machine.run("systemctl start airoxy-notify.service")
    assert "/run/airoxy-notify" in traces(machine)
    assert any("stamp-airoxy" in name for name in traces(machine))
    machine.run("apt-get purge --yes airoxy")
    assert traces(machine) == []
    assert machine.run("systemctl --failed --no-legend --plain") == ""
    # Its number must not be given to somebody else.
    assert "airoxy" in machine.run("getent passwd airoxy")


def test_purging_after_removing_leaves_nothing(site):
    site.machine.run("apt-get remove --yes airoxy && apt-get purge --yes airoxy")
    assert traces(site.machine) == []


def test_what_was_disabled_stays_so_when_installed_again(site):
    machine = site.machine
    machine.run("systemctl disable --now airoxy-tidy-log.timer")
    machine.run("apt-get remove --yes airoxy && apt-get install --yes /root/airoxy.deb")
    status = machine.run("systemctl is-enabled airoxy-tidy-log.timer", check=False)
    assert status.strip() == "disabled"
    assert machine.run("systemctl is-active airoxy.socket").strip() == "active"
