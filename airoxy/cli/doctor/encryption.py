"""Check of the tokens' key: it is here, and kept as safely as this machine can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.installation import Installation

_ROTATE = "sudo airoxy token rotate-key"


class _Seen(NamedTuple):
    tokens: int
    fits: bool
    under_way: bool
    in_file: bool


def key(installation: Installation) -> Iterator[Finding]:
    """The key is here, and nowhere else than it should be."""
    path = installation.database
    seen = installation.as_owner(lambda: _look(path, installation.key))
    if seen is None or not seen.tokens:
        return  # the database is another check's; and nothing is encrypted yet
    rotate = partial(_rotate, installation)
    if not seen.fits:
        text = f"The tokens in {path} are encrypted with a key that is not here."
        remedy = "Put it back, or remove the tokens and add them again."
        yield Finding(FAIL, text, remedy)
    elif seen.under_way:
        yield Finding(WARN, "A change of the tokens' key was broken off.", _ROTATE, rotate)
    elif seen.in_file and installation.has_units and installation.sealed_key.exists():
        text = "The tokens' key lies beside the database, although systemd has one for it."
        yield Finding(WARN, text, _ROTATE, rotate)
    else:
        where = "lies beside the database" if seen.in_file else "is systemd's credential"
        yield Finding(OK, f"The tokens are encrypted; their key {where}.")


def _look(path: Path, given: bytes | None) -> _Seen | None:
    import apsw

    from airoxy.store.encryption import name_of
    from airoxy.store.file.inspection import open_as_it_is
    from airoxy.store.key_file import KEY_FILE, read_key
    from airoxy.store.schema import run

    try:
        with closing(open_as_it_is(path, given)) as db:
            ((name, handed_on, tokens, fits),) = run(
                db,
                "SELECT name, handed_on, (SELECT count(*) FROM tokens WHERE token IS NOT NULL),"
                " key_fits() FROM token_key",
            )
    except apsw.Error:
        return None
    in_file = any(name_of(each) == name for each in read_key(path.with_name(KEY_FILE)))
    return _Seen(tokens, bool(fits), handed_on is not None, in_file)


def _rotate(installation: Installation) -> str:
    from airoxy.cli.tokens.key import message, rotate

    return message(installation, rotate(installation))
