"""Which keys lock private feeds' passwords: the operator's, or those of a file beside the data."""

import contextlib
import os
import secrets
from pathlib import Path

from heraldo.errors import BadSettings
from heraldo.settings import Settings
from heraldo_sync.vault import Vault, new_key

KEY_FILE = "secret.key"


def open_vault(settings: Settings) -> Vault | None:
    """The vault for private feeds; None where there is no key, and so no private feed.

    Whoever brings a database keeps its key as well. Beside the embedded database one is made the
    first time: it guards a copy of the database, not of the whole data folder.

    Raises:
        BadSettings: the key file cannot be read or made, or holds no key.
    """
    if settings.keys:
        return Vault(settings.keys)
    if settings.database_url is not None:
        return None
    path = settings.heraldo_data_dir / KEY_FILE
    try:
        keys = _read_or_make(path).split()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: {getattr(error, 'strerror', None) or 'no text'}") from error
    try:
        return Vault(keys)
    except ValueError as error:
        raise BadSettings(f"{path}: {error}") from error


def _read_or_make(path: Path) -> str:
    """Of several processes that start at once one makes the file, and only when it is whole."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{new_key()}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii")
