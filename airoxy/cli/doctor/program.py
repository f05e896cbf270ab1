"""Checks of the program: its Python packages and its configuration."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from importlib import metadata

from airoxy.cli.doctor.finding import FAIL, OK, Finding
from airoxy.cli.installation import Installation
from airoxy.cli.system.system import UNATTENDED, ask
from airoxy.config import Mistake, shipped_prices
from airoxy.errors import AiroxyError, ConfigError

#: What airoxy imports: the module, its distribution, Debian's package, the least version.
PACKAGES = (
    ("apsw", "apsw", "python3-apsw", "3.40"),
    ("brotli", "brotli", "python3-brotli", "1.0.9"),
    ("cryptography", "cryptography", "python3-cryptography", "38"),
    ("falcon", "falcon", "python3-falcon", "3.1"),
    ("httptools", "httptools", "python3-httptools", "0.1.1"),
    ("httpx", "httpx", "python3-httpx", "0.23.3"),
    ("jinja2", "Jinja2", "python3-jinja2", "3.1"),
    ("prometheus_client", "prometheus-client", "python3-prometheus-client", "0.16"),
    ("sdnotify", "sdnotify", "python3-sdnotify", "0.3"),
    ("uvicorn", "uvicorn", "python3-uvicorn", "0.17.6"),
    ("uvloop", "uvloop", "python3-uvloop", "0.17"),
    ("yaml", "PyYAML", "python3-yaml", "6.0"),
    ("zstandard", "zstandard", "python3-zstandard", "0.20"),
)


def packages(installation: Installation) -> Iterator[Finding]:
    """The Python packages are there, load, and are new enough."""
    versions = []
    for module, distribution, package, least in PACKAGES:
        remedy = f"sudo apt-get install --reinstall {package}"
        if not installation.packaged:
            remedy += f" (or pip install --upgrade {distribution})"
        try:
            importlib.import_module(module)
            version = metadata.version(distribution)
        except Exception as error:  # a broken package fails as it likes
            text = f"The Python package {module} does not load: {error}."
            yield Finding(FAIL, text, remedy)
            continue
        versions.append(f"{module} {version}")
        if _number(version) < _number(least):
            text = f"{module} {version} is too old, {least} is needed."
            yield Finding(FAIL, text, remedy)
    if len(versions) == len(PACKAGES):
        yield Finding(OK, ", ".join(versions))


def _number(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"[0-9]+", version)[:3]]


def package(_: Installation) -> Iterator[Finding]:
    """dpkg has done all that it has to do with the package."""
    status, output = ask("dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", "airoxy")
    state = output.strip()
    if status == 0 and state not in ("ii", "hi", "rc", "un"):
        text = f"dpkg has not completed the installation of airoxy (state {state})."
        yield Finding(FAIL, text, "sudo dpkg --configure airoxy", _configure)


def _configure() -> str:
    status, output = ask("dpkg", "--configure", "airoxy", timeout=300, environ=UNATTENDED)
    if status:
        raise AiroxyError(" ".join(output.splitlines()[-2:]))
    return "dpkg has completed the installation; the configuration stays as it was."


def configuration(installation: Installation) -> Iterator[Finding]:
    """The file has no mistake, and the service may read it."""
    path, document = installation.config_path, installation.document
    if document is None:
        yield _missing(installation)
        return
    yield from (_mistake(mistake) for mistake in document.mistakes)
    try:
        shipped_prices()
    except ConfigError as error:
        yield Finding(FAIL, error.message)
    if installation.owner and not installation.may(path, "r"):
        yield Finding(
            FAIL,
            f"{path} cannot be read by the user {installation.user}.",
            f"chmod a+r {path}",
            lambda: _open_up(installation),
        )
    elif not document.mistakes:
        yield Finding(OK, f"{path} is fine.")


def _missing(installation: Installation) -> Finding:
    path = installation.config_path
    if installation.context.config_path or installation.context.environ.get("AIROXY_CONFIG"):
        return Finding(FAIL, f"{path} is not there.", "Name a file that exists.")
    return Finding(OK, f"There is no {path}; everything is at its default.")


def _mistake(mistake: Mistake) -> Finding:
    return Finding(FAIL, f"{mistake}.")


def _open_up(installation: Installation) -> str:
    """There is no secret in it, so that everybody may read it."""
    path = installation.config_path
    path.parent.chmod(path.parent.stat().st_mode | 0o555)
    path.chmod(path.stat().st_mode | 0o444)
    return f"{path} can be read by everybody now."
