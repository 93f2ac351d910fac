"""Never run: mypy checks that both implementations are backends, name by name."""

import e4._native
import e4.reference
from e4.backend import Backend

native: Backend = e4._native
reference: Backend = e4.reference
