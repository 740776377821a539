"""GIF: header, colour tables, and blocks of length-prefixed sub-blocks up to the trailer (GIF89a specification).

Nothing is unpacked, and there are no checksums: behind bytes of another the chain of lengths falls into step again.
"""

from clew.intake.carving.view import Verdict, View

MOST_BLOCKS = 100_000
_STEP = 1 << 16
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_LABELS = {0xF9, 0xFE, 0x01, 0xFF}  # graphic control, comment, plain text, application


def check(view: View) -> Verdict | None:
    """None where the first block is none that GIF knows."""
    head = view.read(0, 13)
    if len(head) < 13 or not int.from_bytes(head[6:8], "little") or not int.from_bytes(head[8:10], "little"):
        return None
    at, images = 13 + _table(head[10]), 0
    for number in range(MOST_BLOCKS):
        block = view.read(at, 10)
        if len(block) < 1:
            return Verdict(at, "gif", "cut off") if number else None
        if block[0] == _TRAILER and images:
            return Verdict(at + 1, "gif", sure=at + 1)
        if block[0] == _EXTENSION and block[1:2] and block[1] in _LABELS:
            start = at + 2
        elif block[0] == _IMAGE and len(block) == 10 and 2 <= _code_size(view, at, block[9]) <= 11:
            start, images = at + 11 + _table(block[9]), images + 1
        else:
            return Verdict(at, "gif", "its blocks break off") if number else None
        at, whole = _sub_blocks(view, start)
        if not whole:
            return Verdict(at, "gif", "cut off")
    return Verdict(at, "gif", f"more than {MOST_BLOCKS} blocks")


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _code_size(view: View, at: int, flags: int) -> int:
    code = view.read(at + 10 + _table(flags), 1)
    return code[0] if code else 0


def _sub_blocks(view: View, at: int) -> tuple[int, bool]:
    """The place after the empty sub-block that ends the chain, or how far it goes and False."""
    while True:
        data = view.read(at, _STEP)
        inside = 0
        while inside < len(data):
            length = data[inside]
            inside += 1 + length
            if not length:
                return at + inside, True
        if not data or inside > view.size - at:
            return min(at + inside, view.size), False
        at += inside
