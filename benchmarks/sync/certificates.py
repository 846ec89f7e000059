"""A certificate authority of our own, by the ``openssl`` command: a root, and two chains.

Each chain is a leaf and an intermediate, as sites have it: one of RSA 2048, one of P-256.
"""

import subprocess
from pathlib import Path

DOMAIN = "bench.test"
KINDS = {
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-newkey", "rsa:2048"],
}
DAYS = "30"


def make(folder: Path) -> Path:
    """Writes ``<kind>.pem`` and ``<kind>.key`` for each kind; returns the root to trust.

    Raises:
        SystemExit: there is no openssl command here, or it failed.
    """
    root, key = folder / "root.pem", folder / "root.key"
    authority = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext"]
    authority += ["keyUsage=critical,keyCertSign,cRLSign"]
    _request(KINDS["rsa"], key, root, "Benchmark root", *authority)
    for kind, options in KINDS.items():
        signer, signer_key = folder / f"{kind}-ca.pem", folder / f"{kind}-ca.key"
        signed = ["-CA", str(root), "-CAkey", str(key)]
        _request(options, signer_key, signer, f"Benchmark {kind}", *authority, *signed)
        leaf, leaf_key = folder / f"{kind}-leaf.pem", folder / f"{kind}.key"
        names = ["-addext", f"subjectAltName=DNS:*.{DOMAIN}", "-addext"]
        names += ["basicConstraints=critical,CA:FALSE"]
        signed = ["-CA", str(signer), "-CAkey", str(signer_key)]
        _request(options, leaf_key, leaf, f"*.{DOMAIN}", *names, *signed)
        (folder / f"{kind}.pem").write_text(leaf.read_text() + signer.read_text())
    return root


def _request(options: list[str], key: Path, out: Path, name: str, *more: str) -> None:
    command = ["openssl", "req", "-x509", "-nodes", "-days", DAYS, "-subj", f"/CN={name}"]
    command += [*options, "-keyout", str(key), "-out", str(out), *more]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise SystemExit("the openssl command is needed to make certificates") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"openssl: {error.stderr.strip()[-400:]}") from None
