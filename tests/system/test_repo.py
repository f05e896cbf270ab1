"""The apt repository of `make repo`: machines install from it and are upgraded through it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import images, package
from tests.system.images import ROOT
from tests.system.machine import Machine
from tests.system.site import until
from tests.system.test_upgrade import LATER

URL = "http://127.0.0.1:8099"


@pytest.fixture
def make_repo(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Puts a package into the repository of this test, signed by a key of its own."""
    home = tempfile.mkdtemp(dir="/tmp")  # the path of gpg's sockets has to be short
    environ = os.environ | {"GNUPGHOME": home}
    key = ["--passphrase", "", "--quick-generate-key", "airoxy test <test@example.org>"]
    gpg = ["gpg", "--quiet", "--batch", *key, "ed25519", "sign", "never"]

    def make(deb: Path) -> Path:
        words = [f"REPO={tmp_path}/repo", f"DEBS={deb}", f"URL={URL}", "KEY=airoxy test"]
        command = ["make", "--no-print-directory", "-C", ROOT, "repo", *words]
        subprocess.run(command, check=True, env=environ, capture_output=True)
        return tmp_path / "repo"

    try:
        subprocess.run(gpg, check=True, env=environ, capture_output=True)
        yield make
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=True, env=environ)
        shutil.rmtree(home)


def serve(machine: Machine, repo: Path) -> None:
    machine.run("rm -rf /srv/repo")
    machine.put("/srv/repo", repo)


def version(machine: Machine) -> str:
    return str(json.loads(machine.run("curl -s http://127.0.0.1:3800/health"))["version"])


def test_a_machine_installs_from_it_and_is_upgraded_through_it(release, boot, deb, make_repo):
    machine = boot(*images.image(release, "ready"))
    serve(machine, make_repo(deb))
    machine.spawn("exec python3 -m http.server 8099 --bind 127.0.0.1 --directory /srv/repo")
    until(lambda: machine.status(f"curl -sf {URL}/InRelease")[0] == 0)
    machine.run("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")
    machine.run(f"curl -sfo /etc/apt/sources.list.d/airoxy.sources {URL}/airoxy.sources")
    machine.run("apt-get update && apt-get install --yes airoxy")
    assert version(machine) == package.version().partition("-")[0]
    assert machine.status("airoxy update")[0] == 0  # there is nothing newer

    serve(machine, make_repo(package.build(LATER)))
    assert "1.1.1-1 is installed" in machine.run("airoxy update")
    until(lambda: version(machine) == "1.1.1")

    machine.run("cd /srv/repo && sha256sum --quiet --check SHA256SUMS")
    machine.run("sed -i s/airoxy/airoxi/ /srv/repo/Release /srv/repo/InRelease")
    assert "signature" in machine.run("apt-get update 2>&1", check=False).lower()


def test_every_package_has_a_bill_of_materials(deb, make_repo):
    [file] = make_repo(deb).glob("*.cdx.json")
    bill = json.loads(file.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    own = bill["metadata"]["component"]
    assert (own["name"], own["version"]) == ("airoxy", package.version())
    sums = subprocess.run(["sha256sum", deb], check=True, capture_output=True, text=True).stdout
    assert own["hashes"] == [{"alg": "SHA-256", "content": sums.split()[0]}]
    needs = set(images.relations("Depends"))
    assert needs <= {part["name"] for part in bill["components"]}
    refs = {part["bom-ref"] for part in bill["components"]}
    assert set(bill["dependencies"][0]["dependsOn"]) == refs


@pytest.mark.parametrize("given", [{}, {"KEY": "nobody"}, {"URL": URL}])
def test_what_is_missing_is_said(tmp_path, given):
    words = [f"{name}={value}" for name, value in given.items()]
    command = ["make", "--no-print-directory", "-C", ROOT, "repo", f"DEBS={tmp_path}/x.deb", *words]
    done = subprocess.run(
        command, env=os.environ | {"GNUPGHOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode
    assert "make repo KEY=" in done.stdout
