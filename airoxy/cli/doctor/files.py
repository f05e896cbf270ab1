"""Checks of the database's directory, files and disk: owners, modes, room.

Invariant: nothing is repaired through a link, and outside the package's own directory only files in
a directory that belongs to airoxy, so that a wrong path in the configuration damages no system
file.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.installation import HOME, Installation
from airoxy.cli.system.owner import user_name
from airoxy.cli.system.system import ask
from airoxy.errors import AiroxyError

#: Free space that is warned of (more than a busy day's log), and that is a failure (SQLite needs it
#: to write anything at all), in bytes.
_LITTLE, _NEXT_TO_NOTHING = 500 << 20, 20 << 20


def user(installation: Installation) -> Iterator[Finding]:
    """The user that the service runs as exists."""
    if installation.owner:
        yield Finding(OK, f"The service runs as {installation.user}.")
        return
    text = f"There is no user {installation.user}, as whom the service is to run."
    yield Finding(FAIL, text, "sudo systemd-sysusers", _make_user)


def _make_user() -> str:
    status, output = ask("systemd-sysusers")
    if status:
        raise AiroxyError(output)
    return "systemd-sysusers has made the user."


def directory(installation: Installation) -> Iterator[Finding]:
    """The directory is there, and the user who runs airoxy may write it, and no other."""
    path, name = installation.database.parent, installation.user
    remedy, fix = f"mkdir -p {path}", None
    if name:
        remedy = f"sudo install -d -o {name} -g {name} -m 750 {path}"
    if path == HOME and installation.owner:
        fix = partial(_make_directory, path, *installation.owner)
    fault = _directory_fault(installation, path)
    if fault:
        yield Finding(FAIL, f"{path} {fault}.", remedy, fix)
    else:
        belongs = user_name(path.stat().st_uid)
        yield Finding(OK, f"{path} belongs to {belongs}, who may write there.")


def _directory_fault(installation: Installation, path: Path) -> str | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return "does not exist"
    if not stat.S_ISDIR(found.st_mode):
        return "is not a directory"
    if path == HOME and installation.owner:
        if (found.st_uid, found.st_gid) != installation.owner:
            return f"belongs to {user_name(found.st_uid)} and not to {installation.user}"
        if found.st_mode & 0o027 or found.st_mode & 0o700 != 0o700:
            return f"has mode {stat.S_IMODE(found.st_mode):04o} and not 0750"
    if not installation.may(path, "rwx"):
        return f"cannot be written by {installation.user or 'you'}"
    return None


def _make_directory(path: Path, uid: int, gid: int) -> str:
    path.mkdir(0o750, exist_ok=True)
    os.chown(path, uid, gid)
    path.chmod(0o750)
    return f"{path} belongs to {user_name(uid)} alone now (mode 0750)."


def database(installation: Installation) -> Iterator[Finding]:
    """Nobody reads the database, its copies and the tokens' key but their owner, and the package's
    database its group."""
    from airoxy.store.key_file import KEY_FILE

    path = installation.database
    files = [*sorted(path.parent.glob(f"{path.name}*")), *path.parent.glob(KEY_FILE)]
    faults = [finding for file in files if (finding := _file_fault(installation, file))]
    yield from faults
    if path.exists() and not faults:
        yield Finding(OK, f"{path} and what belongs to it: closed to others.")


def _file_fault(installation: Installation, path: Path) -> Finding | None:
    found, home = path.lstat(), path.parent.stat()
    if not stat.S_ISREG(found.st_mode):
        what = "a link; set `database` to where it leads" if path.is_symlink() else "not a file"
        return Finding(FAIL, f"{path} is {what}.")
    uid, gid = installation.owner or (home.st_uid, home.st_gid)
    if found.st_uid != uid:
        fault = f"belongs to {user_name(found.st_uid)} and not to {user_name(uid)}"
    elif found.st_mode & 0o037 or (found.st_mode & 0o040 and found.st_gid != gid):
        fault = f"holds secrets, and others may open it (mode {stat.S_IMODE(found.st_mode):04o})"
    elif found.st_mode & 0o600 != 0o600:
        fault = f"may not be used by its owner (mode {stat.S_IMODE(found.st_mode):04o})"
    else:
        return None
    ours, mode = home.st_uid == uid, _mode(installation, path)
    remedy = f"sudo chown {user_name(uid)}: {path}; sudo chmod {mode:o} {path}"
    fix = partial(_own, path, uid, gid, mode) if ours else None
    return Finding(FAIL, f"{path} {fault}.", remedy, fix)


def _mode(installation: Installation, path: Path) -> int:
    """What it should be: the package's group may look at the database, and at no copy or key."""
    from airoxy.store.file.access import mode_of

    database = installation.database
    live = {database, *(database.with_name(database.name + end) for end in ("-wal", "-shm"))}
    return mode_of(database) if path in live else 0o600


def _own(path: Path, uid: int, gid: int, mode: int) -> str:
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise AiroxyError(f"{path} is not a file of its own.")
        # What was opened and no other, wherever its name leads by now.
        itself = f"/proc/self/fd/{file}"
        if (found.st_uid, found.st_gid) != (uid, gid):
            os.chown(itself, uid, gid)
        os.chmod(itself, mode)
    finally:
        os.close(file)
    alone = " alone" if mode == 0o600 else ""
    return f"{path} belongs to {user_name(uid)}{alone} now (mode {mode:04o})."


def disk(installation: Installation) -> Iterator[Finding]:
    """The database's file system can be written and has room."""
    path = installation.database.parent
    if not path.is_dir():
        return
    free, about = shutil.disk_usage(path).free, os.statvfs(path)
    text = f"{free / 2**30:.1f} GiB are free at {path}."
    if about.f_flag & os.ST_RDONLY:
        yield Finding(FAIL, f"{path} is on a file system that is mounted read-only.")
    elif free < _NEXT_TO_NOTHING or (about.f_files and not about.f_favail):
        yield Finding(FAIL, text.replace("are", "only are", 1), "Make room there.")
    elif free < _LITTLE:
        yield Finding(WARN, text, "Make room there soon.")
    else:
        yield Finding(OK, text)
