"""Every piece of airoxy.yaml that a page has its readers copy is one that airoxy accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from airoxy.config import load_config
from tests.docs.guide import block, blocks
from tests.docs.test_links import DOCUMENTS
from tests.program import ROOT

#: The file of keys, which `airoxy apply` reads.
KEYS = "groups:\n"
PIECES = [
    pytest.param(piece, id=f"{page.relative_to(ROOT)}:{piece.split(':')[0]}")
    for page in DOCUMENTS
    for piece in blocks(str(page.relative_to(ROOT)), "yaml")
    if not piece.startswith(KEYS)
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_of_the_configuration_is_accepted(piece: str, tmp_path: Path) -> None:
    file = tmp_path / "airoxy.yaml"
    if piece.startswith("console:"):  # its TLS is that of `tls`
        piece += block("README.md", "yaml", "tls:")
    file.write_text(piece)
    assert load_config(file) != load_config(Path("/dev/null"))


def test_the_pages_have_pieces() -> None:
    assert len(PIECES) >= 6
