"""A data folder: made whole or not at all, locked by the server that uses it, opened with its passphrase.

::

    DIR/                 mode 0700, every file 0600
      config.toml        settings
      c2.db              the SQLite database (none where the settings name a PostgreSQL one)
      server.pem, .key   the server's certificate, made here unless another is given
      lock               locked while a server or another exclusive command runs on SQLite

    making       a new folder, or one from a backup
    database     what is done to the database of a folder
    certificate  the server's certificate
    files        what has to do with files alone

Knows no API and no broker.
"""

from __future__ import annotations

from e4.c2.folder.certificate import certificate_end, check_certificate, fingerprint
from e4.c2.folder.database import (
    back_up,
    change_passphrase,
    check_passphrase,
    import_legacy,
    migrate,
    open_database,
)
from e4.c2.folder.files import check_free, lock, write_secret
from e4.c2.folder.making import Made, make, restore

__all__ = [
    "Made",
    "back_up",
    "certificate_end",
    "change_passphrase",
    "check_certificate",
    "check_free",
    "check_passphrase",
    "fingerprint",
    "import_legacy",
    "lock",
    "make",
    "migrate",
    "open_database",
    "restore",
    "write_secret",
]
