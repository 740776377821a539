"""The Merkle tree hash of RFC 6962 section 2.1, over lines added one by one, keeping one node a level.

A leaf is SHA-256(0x00 || line), a node SHA-256(0x01 || left || right); the empty tree is SHA-256 of nothing.
"""

import hashlib

LEAF, NODE = b"\x00", b"\x01"  # RFC 6962 section 2.1: domain separation, against second preimages


class Tree:
    """A growing tree: `size` leaves so far."""

    def __init__(self) -> None:
        self.size = 0
        self._nodes: list[tuple[int, bytes]] = []

    def add(self, line: bytes) -> None:
        """Adds one leaf."""
        size, node = 1, hashlib.sha256(LEAF + line).digest()
        while self._nodes and self._nodes[-1][0] == size:
            node = hashlib.sha256(NODE + self._nodes.pop()[1] + node).digest()
            size *= 2
        self._nodes.append((size, node))
        self.size += 1

    def root(self) -> bytes:
        """The tree hash (32 bytes) of all leaves so far."""
        if not self._nodes:
            return hashlib.sha256(b"").digest()
        node = self._nodes[-1][1]
        for _, left in reversed(self._nodes[:-1]):
            node = hashlib.sha256(NODE + left + node).digest()
        return node
