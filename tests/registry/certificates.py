"""Certificates of an authority that only a test knows."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate.

    Attributes:
        certificate: Its file (PEM).
        key: Its key.
        authority: The certificate of who signed it.
        authority_key: The key of who signed it.
    """

    certificate: Path
    key: Path
    authority: Path
    authority_key: Path


def make_certificate(directory: Path, name: str = "DNS:localhost") -> Certificate:
    """Make an authority, and a certificate that it signed.

    Args:
        directory: For the files; it is made.
        name: Whose certificate it is.

    Returns:
        The certificate.
    """
    directory.mkdir(parents=True)
    made = Certificate(*(directory / file for file in ("server.pem", "server.key", "ca.pem", "ca.key")))
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2")
    _openssl(
        "req", "-x509", *key, "-subj", "/CN=an authority of a test", "-keyout", made.authority_key,
        "-addext", "keyUsage=critical,keyCertSign", "-out", made.authority,
    )  # fmt: skip
    _openssl(
        "req", "-x509", *key, "-subj", "/CN=a server of a test", "-keyout", made.key,
        "-CA", made.authority, "-CAkey", made.authority_key,
        "-addext", f"subjectAltName={name}", "-addext", "basicConstraints=critical,CA:FALSE",
        "-out", made.certificate,
    )  # fmt: skip
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)  # noqa: S607 (of the PATH)
