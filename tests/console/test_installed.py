"""What the console needs beside its modules is installed with them."""

from __future__ import annotations

import shutil
import subprocess
import sys

from airoxy.console.templates import HERE
from tests.program import ROOT


def test_every_template_and_static_file_is_installed(tmp_path):
    source = tmp_path / "source"
    for name in ("airoxy", "setup.cfg", "README.md", "LICENSE"):
        place = source / name
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        place.parent.mkdir(exist_ok=True)
        copy(ROOT / name, place)
    script = "import setuptools; setuptools.setup()"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, "-q", "build", "-b", tmp_path / "build"],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    installed = tmp_path / "build" / "lib" / "airoxy" / "console"
    for folder in ("templates", "static"):
        names = {path.name for path in (HERE / folder).iterdir()}
        assert names
        assert {path.name for path in (installed / folder).iterdir()} == names


def test_no_line_is_so_long_that_lintian_takes_it_for_a_programs():
    files = [*(HERE / "templates").iterdir(), *(HERE / "static").iterdir()]
    long = [each.name for each in files if max(map(len, each.read_bytes().splitlines())) > 512]
    assert long == []
