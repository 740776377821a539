"""The Ledger: what was done, by whom, under which Mandate. Append-only, hash-chained.

An entry is one line of canonical JSON (RFC 8785 restricted to strings, integers and objects). It never holds an
address, name, path or bare content hash: what it was about stands there as a commitment, SHA-256(salt || canonical
JSON of the subject), whose opening lies in a table of its own.
"""

import hashlib
import json
import secrets
import sqlite3
from typing import Any

from clew import __version__
from clew.core import clock

GENESIS = bytes(32)
SALT_BYTES = 32


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no blanks, UTF-8 as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def commitment(salt: bytes, opening: str) -> str:
    """What an entry shows of its subject: hexadecimal SHA-256(salt || opening)."""
    return hashlib.sha256(salt + opening.encode()).hexdigest()


def append(
    conn: sqlite3.Connection,
    *,
    actor: str,
    stage: str,
    action: str,
    subject: dict[str, Any],
    counts: dict[str, int],
    mandate: str | None,
) -> int:
    """Adds one entry within the caller's transaction; returns its sequence number."""
    last = conn.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    seq, prev = (last[0] + 1, bytes(last[1])) if last else (0, GENESIS)
    salt, opening = secrets.token_bytes(SALT_BYTES), canonical(subject)
    entry = {
        "action": action,
        "actor": actor,
        "at": clock.iso(clock.now().utc_ns),
        "counts": counts,
        "id": secrets.token_hex(16),
        "mandate": mandate or "",
        "prev": prev.hex(),
        "seq": seq,
        "stage": stage,
        "subject": commitment(salt, opening),
        "tool": f"clew {__version__}",
    }
    line = canonical(entry)
    conn.execute("INSERT INTO ledger VALUES (?, ?, ?)", (seq, line, hashlib.sha256(line.encode()).digest()))
    conn.execute("INSERT INTO ledger_openings VALUES (?, ?, ?)", (seq, salt, opening))
    return seq
