"""The package itself: how it is built, what is in it, and what Debian's own checks say to it."""

import hashlib
import itertools
import os
import re
import subprocess

import pytest

from tests.system import images, netproxy, package
from tests.system.images import ROOT
from tests.system.machine import Machine

#: What is in the package beside Python modules.
CONTENTS = [
    "/etc/airoxy/airoxy.yaml",
    "/usr/bin/airoxy",
    "/usr/lib/systemd/system-generators/airoxy-generator",
    "/usr/lib/systemd/system/airoxy-console.service",
    "/usr/lib/systemd/system/airoxy-console.socket",
    "/usr/lib/systemd/system/airoxy-fleet.service",
    "/usr/lib/systemd/system/airoxy-notify.service",
    "/usr/lib/systemd/system/airoxy-notify.timer",
    "/usr/lib/systemd/system/airoxy-refresh-tokens.service",
    "/usr/lib/systemd/system/airoxy-refresh-tokens.timer",
    "/usr/lib/systemd/system/airoxy-tidy-log.service",
    "/usr/lib/systemd/system/airoxy-tidy-log.timer",
    "/usr/lib/systemd/system/airoxy.service",
    "/usr/lib/systemd/system/airoxy.socket",
    "/usr/lib/sysusers.d/airoxy.conf",
    "/usr/lib/tmpfiles.d/airoxy.conf",
    "/usr/share/airoxy/prices.yaml",
    "/usr/share/bash-completion/completions/airoxy",
    "/usr/share/fish/vendor_completions.d/airoxy.fish",
    "/usr/share/lintian/overrides/airoxy",
    "/usr/share/man/man1/airoxy.1.gz",
    "/usr/share/man/man5/airoxy.yaml.5.gz",
    "/usr/share/man/man8/airoxy-console.8.gz",
    "/usr/share/man/man8/airoxy.service.8.gz",
    "/usr/share/zsh/vendor-completions/_airoxy",
]
#: Python's own affair, and what readers find where every package has it.
ASIDE = re.compile(r"/usr/lib/python3/dist-packages/airoxy[/-]|/usr/share/doc/airoxy/")
STRICT = "lintian --allow-root -EviIL +pedantic --fail-on error,warning,info,pedantic"
#: Of each thing that depends on the versions of Debian 13, which the other tests do not run on, the
#: tests that use most of it; the booted systems are tests of all of it.
SAMPLE = (
    "tests/cli/stats/test_logs.py", "tests/config/test_loading.py", "tests/console/test_login.py",
    "tests/jobs/test_refresh.py", "tests/server/http", "tests/server/metrics",
    "tests/server/process/test_worker.py", "tests/server/proxy/test_streams.py",
    "tests/store/test_migrations.py", "tests/store/test_schema.py", "tests/store/usage",
    "tests/test_completion.py", "tests/test_man.py", "tests/upstream/test_upstream.py",
)  # fmt: skip
#: Other settings than where the package under test was built.
ELSEWHERE = "umask 002; export LC_ALL=de_DE.UTF-8 TZ=Asia/Kathmandu; LATER='faketime -f +400d'"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A Debian 13 on which a package can be built, with a clone of this repository at hand."""
    with Machine(*images.image("trixie", "build")) as machine:
        clone(machine, tmp_path_factory.mktemp("clone"))
        yield machine


def clone(machine, directory):
    # Whoever it belongs to. What clone starts is told so by this file only.
    (directory / "config").write_text("[safe]\ndirectory = *\n")
    git = ["git", "clone", "--quiet", "--bare", f"file://{ROOT}", directory / "airoxy.git"]
    subprocess.run(git, check=True, env=os.environ | {"GIT_CONFIG_GLOBAL": directory / "config"})
    move = ["git", "-C", directory / "airoxy.git", "update-ref", "HEAD", package.commit()]
    subprocess.run(move, check=True)
    machine.put("/airoxy.git", directory / "airoxy.git")
    machine.run("chown -R root: /airoxy.git")


def test_make_deb_builds_from_a_clean_clone_and_lintian_has_nothing_to_say(release, tmp_path):
    """Debian 13's lintian looks at all of a release below, which has the same package in it."""
    with Machine(*images.image(release, "build")) as machine:
        clone(machine, tmp_path)
        machine.run("git clone --quiet /airoxy.git /src && make -C /src deb")
        assert f"airoxy_{package.version()}_all.deb" in machine.run("ls /src/dist").split()
        assert machine.run("git -C /src status --porcelain") == ""
        if release != "trixie":
            assert machine.run(f"{STRICT} /src/dist/*.changes") == ""


@pytest.fixture(scope="module")
def built(workshop):
    """All of a release, source and binary, and what the build said."""
    upstream = package.version().rpartition("-")[0]
    log = workshop.run(
        "git clone --quiet /airoxy.git /release/airoxy && cd /release/airoxy"
        f" && git archive --prefix=airoxy-{upstream}/ HEAD ':!debian'"
        f" | xz > ../airoxy_{upstream}.orig.tar.xz && rm -r .git"
        " && DEB_BUILD_OPTIONS=nocheck dpkg-buildpackage -us -uc",
    )
    return workshop, log


def test_the_build_warns_of_nothing(built):
    _, log = built
    assert re.findall(r"(?m)^dh_\w+: (?:warning|error).*|^dpkg-\w+: warning.*", log) == []


def test_the_tests_pass_where_the_package_is_built(built):
    """On Debian 13, and without a network."""
    machine, _ = built
    files = " ".join(SAMPLE)
    told = machine.run(f"cd /release/airoxy && debian/rules override_dh_auto_test TESTS='{files}'")
    assert re.search(r"\d+ passed", told)


def test_lintian_has_nothing_to_say(built):
    machine, _ = built
    assert machine.run(f"{STRICT} /release/*.changes") == ""


def test_the_package_is_reproducible(workshop, deb):
    workshop.run("localedef -i de_DE -f UTF-8 de_DE.UTF-8")
    workshop.run(
        f"{ELSEWHERE}; git clone --quiet /airoxy.git /var/tmp/some-where && cd /var/tmp/some-where"
        " && $LATER make deb IS_ROOT=",
    )
    [other] = (workshop.root / "var/tmp/some-where/dist").glob("*.deb")
    assert hashlib.sha256(other.read_bytes()).digest() == hashlib.sha256(deb.read_bytes()).digest()


def test_every_override_of_lintian_has_a_reason():
    """That each is used, lintian itself tells."""
    for file in ("airoxy.lintian-overrides", "source/lintian-overrides"):
        lines = (ROOT / "debian" / file).read_text().splitlines()
        for reason, line in itertools.pairwise(["", *lines]):
            assert line.startswith("# ") or reason.startswith("# "), line


def test_nothing_unexpected_is_in_the_package(deb):
    listed = subprocess.run(["dpkg-deb", "-c", deb], check=True, capture_output=True, text=True)
    files = [line.split()[5][1:] for line in listed.stdout.splitlines() if line[0] != "d"]
    assert sorted(each for each in files if not ASIDE.match(each)) == CONTENTS


def test_the_maintainer_scripts_pass_shellcheck_and_leave_the_socket_alone(deb, tmp_path):
    subprocess.run(["dpkg-deb", "-e", deb, tmp_path], check=True)
    for script in ("preinst", "postinst", "prerm", "postrm"):
        subprocess.run(["shellcheck", ROOT / "debian" / f"airoxy.{script}"], check=True)
    # Only where it says that the addresses have changed.
    postinst = (tmp_path / "postinst").read_text()
    restarts = re.findall(r".*restart\b.*airoxy\.socket.*", postinst)
    assert len(restarts) == 2
    assert all(line.startswith("\t\tdeb-systemd-invoke restart") for line in restarts)


def test_autopkgtest_passes(release, boot, deb):
    machine = boot(*images.image(release, "build"))
    machine.put("/root/airoxy.deb", deb)
    machine.put("/root/src.tar", package.git("archive", "--prefix=src/", package.commit()))
    machine.run("cd /root && tar -xf src.tar && apt-get install --yes ./airoxy.deb")
    told = machine.run("cd /root && autopkgtest --no-built-binaries ./airoxy.deb src/ -- null")
    assert re.search(r"(?m)^serve +PASS", told), told
    assert re.search(r"(?m)^commands +PASS", told), told


def test_piuparts_passes(boot, deb):
    """Installation, removal and purge in a bare Debian: no file is left behind or changed."""
    machine = boot(*images.image("trixie", "build"))
    machine.online()
    [base] = images.image("trixie", "minimal")
    pack = ["tar", "-C", base, "-I", "gzip -1", "-c", "."]
    machine.put("/root/base.tar.gz", subprocess.run(pack, check=True, capture_output=True).stdout)
    machine.put("/root/airoxy.deb", deb)
    words = (
        "piuparts --distribution=trixie --basetgz=base.tar.gz --no-eatmydata"
        f" --mirror='{images.mirror()} main' --proxy=http://127.0.0.1:{netproxy.PORT}"
    )
    machine.run(f"cd /root && {words} ./airoxy.deb > log 2>&1 || (cat log; exit 1)")
    told = machine.run("cat /root/log")
    assert "PASS: All tests." in told
    assert "airoxy" not in "".join(re.findall(r"WARN.*\n(?:  .*\n)*", told))
