"""A case with a signed mandate, and a way to put facts into its shards, for stages that only read facts."""

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import keys, mandate, shards
from clew.core.case import Case

AUTHORITY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_batch = itertools.count()


def allow(case, **changes):
    """Adds a mandate over everything, but for `changes`."""
    body = {
        "id": f"m-{next(_batch)}",
        "operation": "test",
        "authority": "test authority",
        **{name: ["*"] for name in mandate.LISTS},
        "not_before": "2020-01-01T00:00:00Z",
        "not_after": "2099-01-01T00:00:00Z",
    } | changes
    return mandate.add(case, mandate.sign_document("mandate", body, AUTHORITY))


def put(case, kind, rows, stage, batch=None):
    """Puts rows into the case's shards under a receipt; columns not given are null, or empty where they must not be."""
    schema = shards.SCHEMAS[kind]
    blank = {f.name: (None if f.nullable else b"" if "binary" in str(f.type) else "" if "string" in str(f.type) else 0)
             for f in schema}  # fmt: skip
    pending = shards.write(case, kind, [blank | row for row in rows])
    with case.write(stage) as tx:
        shards.commit(tx, stage=stage, batch=batch or f"b{next(_batch)}", versions="1", config="1", pending=[pending])


@pytest.fixture(name="allow")
def allow_fixture():
    """`allow(case, **changes)`."""
    return allow


@pytest.fixture(name="put")
def put_fixture():
    """`put(case, kind, rows, stage)`."""
    return put


@pytest.fixture
def bare_case(tmp_path):
    """A case without any mandate."""
    case = Case.create(
        tmp_path / "case", operation="test", force="XX", authority=keys.public_hex(AUTHORITY), actor="tester"
    )
    yield case
    case.close()


@pytest.fixture
def case(bare_case):
    """A case with a mandate over everything."""
    allow(bare_case)
    return bare_case
