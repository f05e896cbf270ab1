"""A fleet as docs/fleet.md sets it up: the package, its unit, and the release's own PostgreSQL over
TLS."""

from __future__ import annotations

import json

from tests.system.site import until

#: PostgreSQL's of each release.
POSTGRESQL = {"bookworm": "15", "trixie": "17"}
ROLE = """
runuser -u postgres -- createuser airoxy || true
runuser -u postgres -- psql -qc "ALTER ROLE airoxy PASSWORD 'a-password-of-the-tests'"
runuser -u postgres -- createdb airoxy
runuser -u postgres -- psql -q airoxy -c 'CREATE SCHEMA airoxy AUTHORIZATION airoxy'
echo a-password-of-the-tests > /root/password
"""


#: Another airoxy on the same machine, whose key is in a file.
FIRST = """
install -d -m 755 /srv/first && cd /srv/first
echo '{port: 3900, host: localhost, database: /srv/first/airoxy.db}' > airoxy.yaml
"""


def rows(machine):
    """How many the fleet has."""
    count = "SELECT count(*) FROM airoxy.requests"
    return int(machine.run(f"runuser -u postgres -- psql -qAt airoxy -c '{count}'"))


def told(machine, command):
    """Status 1 is PostgreSQL's that is away."""
    return json.loads(machine.run(f"airoxy {command} --json", check=False))


def test_a_host_joins_ships_goes_on_without_postgresql_and_leaves(site, release):
    machine = site.machine
    machine.online()
    machine.run("apt-get install --yes postgresql python3-psycopg2")
    assert POSTGRESQL[release] in machine.run("ls /usr/lib/postgresql").split()
    machine.run(ROLE)
    # By the certificate that Debian makes for the name of the machine.
    url = (
        f"postgresql://airoxy@{machine.run('hostname').strip()}/airoxy?hostaddr=127.0.0.1"
        "&sslrootcert=/etc/ssl/certs/ssl-cert-snakeoil.pem"
    )
    status, said = machine.status(f"airoxy fleet join '{url}' --first --name a")
    assert status == 1, said  # without its password
    assert "password" in said
    machine.run(f"airoxy fleet join '{url}' --first --name a --password-file /root/password")
    machine.run("systemctl enable --now airoxy-fleet")
    assert machine.run("systemctl is-active airoxy-fleet").strip() == "active"
    # What docs/fleet.md has for the other hosts.
    key = "systemd-creds decrypt /etc/credstore.encrypted/airoxy-token-key -"
    assert len(machine.run(key).strip()) == 64
    assert site.ask() == 200
    before = len(told(machine, "logs"))
    until(lambda: rows(machine) >= before)
    until(lambda: {row["host"] for row in told(machine, "logs")} == {"a"})
    uses = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'airoxy'"
    assert set(machine.run(f'runuser -u postgres -- psql -qAt -c "{uses}"').split()) == {"t"}

    machine.run("systemctl stop postgresql")
    assert site.ask() == 200
    until(lambda: told(machine, "fleet status")["here"]["trouble"])
    health = "curl -sf http://127.0.0.1:3800/health"
    until(lambda: json.loads(machine.run(health))["fleet"]["trouble"])
    assert "this host only" in machine.run("airoxy logs")
    assert machine.run("systemctl is-active airoxy-fleet").strip() == "active"
    machine.run("systemctl start postgresql")
    until(lambda: rows(machine) >= before + 1)
    until(lambda: not told(machine, "fleet status")["here"]["trouble"])

    machine.run("airoxy fleet leave --yes")
    until(lambda: machine.run("systemctl is-active airoxy-fleet", check=False) == "inactive\n")
    assert site.ask() == 200

    # And as the second one of another fleet, with its key instead of the own that systemd has.
    machine.run(ROLE.replace("createdb airoxy", "createdb other").replace("-q airoxy", "-q other"))
    url = url.replace("/airoxy?", "/other?")
    machine.run(FIRST)
    first = "airoxy --config /srv/first/airoxy.yaml"
    machine.run(f"{first} fleet join '{url}' --first --name first --password-file /root/password")
    status, said = machine.status(f"airoxy fleet join '{url}' --name a")
    assert status == 1, said
    assert "--token-key" in said
    machine.run(f"airoxy fleet join '{url}' --name a --token-key /srv/first/token.key")
    machine.run("systemctl start airoxy-fleet")
    until(lambda: site.ask() == 200)
    machine.run("systemctl restart airoxy")
    until(lambda: site.ask() == 200)
    machine.run(f"{first} fleet status")
    journal = machine.journal("-u airoxy-fleet -u airoxy")
    assert "Traceback" not in journal
    assert "a-password" not in journal
