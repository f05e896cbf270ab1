"""Certificates made with the openssl command, as wrong as a test needs them."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

_CA = """
[ca]
default_ca = ours
[ours]
database = index.txt
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
x509_extensions = identified
[identified]
authorityKeyIdentifier = keyid
subjectKeyIdentifier = hash
[any]
commonName = supplied
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """A certificate authority in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        (directory / "ca.cnf").write_text(_CA)
        (directory / "index.txt").touch()
        self._openssl("req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem",
                      "-subj", f"/CN={directory.name}", "-days", "2",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip

    def server(
        self, names: str = "IP:127.0.0.1,DNS:localhost", *, until: str = "20990101000000Z"
    ) -> ssl.SSLContext:
        """What a server needs, with a certificate for `names` that holds from 2020 on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.load_cert_chain(*self.files(names, until=until))
        return context

    def files(
        self, names: str = "IP:127.0.0.1,DNS:localhost", *, until: str = "20990101000000Z"
    ) -> tuple[Path, Path]:
        """Such a certificate and its private key."""
        name = f"{len(list(self.directory.iterdir()))}"
        self._openssl("req", "-new", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                      "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}")  # fmt: skip
        self._openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem",
                      "-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.pem",
                      "-startdate", "20200101000000Z", "-enddate", until)  # fmt: skip
        return self.directory / f"{name}.pem", self.directory / f"{name}.key"

    def trusting(self) -> ssl.SSLContext:
        """What a client needs, less the system's authorities."""
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(("openssl", *arguments), cwd=self.directory, check=True, capture_output=True)
