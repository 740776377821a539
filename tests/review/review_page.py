"""A case with benign generated pictures, and the page served on it in a thread."""

import contextlib
import io
import random
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image, ImageDraw

from clew.core import blobs, clock, mandate, shards
from clew.core.case import Case
from clew.core.keys import public_hex
from clew.review import schemes
from clew.review.app import create_app
from clew.review.guard import Keys
from clew.review.safeguards import RestRule

HOUR = 3600 * 10**9
OURS = {"sec-fetch-site": "same-origin"}
CHANGE = OURS | {"x-clew": "1"}


@dataclass
class Known:
    """The case, and what was put into it: series id -> contents, the representative first."""

    case: Case
    key: Ed25519PrivateKey
    series: dict[str, list[bytes]] = field(default_factory=dict)
    single: bytes = b""
    pictureless: bytes = b""
    lead: str = "f" * 32


def sharp_picture(seed: int, variant: int = 0) -> bytes:
    """A colourful, sharply drawn picture of shapes; variants differ by a little square."""
    rng = random.Random(seed)
    image = Image.new("RGB", (200, 150), tuple(rng.randrange(40, 220) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y, side = rng.randrange(180), rng.randrange(130), rng.randrange(15, 60)
        colour = tuple(rng.randrange(256) for _ in range(3))
        shape = rng.choice((draw.rectangle, draw.ellipse))
        shape((x, y, x + side, y + side), fill=colour, outline="white")
    draw.rectangle((4 + variant, 4, 10 + variant, 10), fill="yellow")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, comment=b"not to be passed on")
    return out.getvalue()


def signed_mandate(case: Case, key: Ed25519PrivateKey, purposes: list[str], name: str = "M-1") -> None:
    now = clock.now().utc_ns
    body: dict[str, object] = {each: [] for each in ("networks", "addresses", "countries", "trackers", "permits")}
    body |= {"id": name, "operation": "T", "authority": "court", "purposes": purposes, "exhibits": ["*"]}
    body |= {"not_before": clock.iso(now - HOUR), "not_after": clock.iso(now + HOUR)}
    mandate.add(case, mandate.sign_document("mandate", body, key))


def empty_case(folder: Path, actor: str = "heron", purposes: Sequence[str] = ("review",)) -> Known:
    key = Ed25519PrivateKey.generate()
    case = Case.create(folder, operation="Training", force="AT", authority=public_hex(key), actor=actor)
    signed_mandate(case, key, list(purposes))
    return Known(case, key)


def fill(known: Known, series: int = 6, members: int = 5) -> Known:
    """Open series S-001.., one known series, one picture outside every series, one content without a picture."""
    case = known.case
    listings, contents, traits = [], [], []
    case_rows: list[tuple[str, str, bytes, int]] = []
    member_rows: list[tuple[bytes, str, int]] = []

    def add(number: int, variant: int, picture: bool = True) -> bytes:
        digest = random.Random(number * 1000 + variant).randbytes(32)
        item = digest.hex()[:32]
        listing = {"item": item, "exhibit": "e" * 32, "batch": "b", "ref": item, "size": 40_000 + variant}
        listing |= {"path": f"Pictures/shapes_{number:03}_{variant}.jpg".encode(), "name_state": "live"}
        listings.append(listing | {"content_state": "complete"})
        content = {"item": item, "exhibit": "e" * 32, "sha256": digest, "sha1": digest[:20], "md5": digest[:16]}
        contents.append(content | {"size": 40_000 + variant, "media_type": "image/jpeg"})
        made = {"extractor": "test", "version": "1", "mode": ""}
        if picture:
            blob = blobs.put(case.folder, sharp_picture(number, variant))
            traits.append({"content": digest, "name": "thumbnail", "data": blob} | made)
        traits.append({"content": digest, "name": "camera.model", "text": "Shape Camera 3"} | made)
        traits.append({"content": digest, "name": "image.width", "integer": 1600} | made)
        traits.append({"content": digest, "name": "image.height", "integer": 1200} | made)
        return digest

    for number in range(1, series + 2):
        identity = f"{number:032x}"
        group = [add(number, variant) for variant in range(members)]
        known.series[identity] = group
        case_rows.append((identity, f"S-{number:03}", group[0], int(number == series + 1)))
        member_rows += [(content, identity, 0 if v == 0 else 4 * v) for v, content in enumerate(group)]
    far = add(1, 99)
    known.series[f"{1:032x}"].append(far)
    member_rows.append((far, f"{1:032x}", 60))
    known.single, known.pictureless = add(500, 0), add(501, 0, picture=False)

    pending = [shards.write(case, kind, rows) for kind, rows in _kinds(listings, contents, traits)]
    with case.write("intake") as tx:
        shards.commit(tx, stage="intake", batch="b", versions="1", config="", pending=pending)
        exhibit = ("e" * 32, "Exhibit 1", "folder", "x", "unit", "here", None, None, None, "M-1", 0)
        columns = "id, label, kind, location, seized_by, seized_where, seized_ns, sha256, size, mandate, added_ns"
        tx.execute(f"INSERT INTO exhibits ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?,?)", exhibit)
        states = ["done"] * len(contents) + ["unreadable"] * 3 + ["skipped"] * 2
        rows = [(f"{n:032x}", "e" * 32, "b", state, None, None, 1, 1) for n, state in enumerate(states)]
        tx.executemany("INSERT INTO items VALUES (?,?,?,?,?,?,?,?)", rows)
    with case.write("identify") as tx:
        tx.executemany("INSERT INTO series VALUES (?,?,?,?)", case_rows)
        tx.executemany("INSERT INTO series_members VALUES (?,?,?)", member_rows)
    closed = known.series[f"{series + 1:032x}"][0]
    with case.write("match") as tx:
        tx.execute("INSERT INTO hashsets VALUES ('h','Known shapes','alert','vics',x'00',1,'{}','f',0)")
        hit = ("i" * 32, closed, "h", "sha256", 0, "", "alert", "clew training", "ZZ", "1", "1", "x", "stands", "")
        tx.execute("INSERT INTO hits VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", hit)
    _lead(known)
    return known


def _kinds(*rows: list[dict[str, object]]) -> zip:
    return zip(("listings", "contents", "traits"), rows, strict=True)


def hit(case: Case, content: bytes, **said: object) -> None:
    """A hit of `content` with an entry of the alert set, by MD5 where nothing else is `said`."""
    row = {"content": content, "hashset": "h", "algorithm": "md5", "distance": 0, "mode": "", "kind": "alert"}
    row |= {"scheme": "VICS", "country": "US", "version": "2.0", "code": "1", "entry": "7", "state": "stands"} | said
    row = {"id": f"{content.hex()}{row['algorithm']}{row['entry']}", **row}
    with case.write("match") as tx:
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        tx.execute(f"INSERT INTO hits ({columns}) VALUES ({marks})", list(row.values()))


def _lead(known: Known) -> None:
    lead = (known.lead, "s" * 32, "AT", 1, 0.8, "E2", 0, "AT", 0, "unknown", "[]", '{"claims over two days": 0.6}')
    lead += ('["shared address possible"]', '["a second register says DE"]', 2 * 10**18, "open")
    with known.case.write("attribute") as tx:
        tx.execute("INSERT INTO subjects VALUES (?, 'Subject 1', '[\"W-1\"]')", ("s" * 32,))
        tx.execute(f"INSERT INTO leads VALUES ({','.join('?' * 16)})", lead)


@dataclass
class Served:
    """A page that is being served."""

    address: str
    keys: Keys
    reviewer: str

    @property
    def entrance(self) -> str:
        return f"{self.address}/enter?token={self.keys.token}"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextlib.contextmanager
def serving(folder: Path, reviewer: str, rest: RestRule | None = None) -> Iterator[Served]:
    """Serves the case as this reviewer, with the real sandboxed worker, as `clew review` does."""
    case, keys = Case.open(folder, actor=reviewer), Keys()
    app = create_app(case, reviewer=reviewer, scheme=schemes.load("training"), keys=keys, rest=rest or RestRule())
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(app, log_level="error", access_log=False, server_header=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        assert server.up.wait(60)
        try:
            yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", keys, reviewer)
        finally:
            server.should_exit = True
            thread.join()
            case.close()


@contextlib.contextmanager
def entered(served: Served) -> Iterator[httpx.Client]:
    """One who has come in by the one-time address."""
    with httpx.Client(base_url=served.address, headers=OURS, timeout=60) as client:
        assert client.get("/enter", params={"token": served.keys.token}).status_code == 200
        yield client


def actions(case: Case, prefix: str = "") -> list[str]:
    """The ledger's actions in order."""
    lines = [row["line"] for row in case.read().execute("SELECT line FROM ledger ORDER BY seq")]
    found = [re.search(r'"action":"([^"]*)"', line) for line in lines]
    return [match[1] for match in found if match and match[1].startswith(prefix)]
