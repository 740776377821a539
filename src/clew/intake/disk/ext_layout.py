"""Where ext keeps the descriptors of its groups of blocks, by its superblock
(https://docs.kernel.org/filesystems/ext4/, "Meta Block Groups", "Super Block").
"""

import struct

_META_BG, _WIDE = 0x10, 0x80  # features: descriptors beside their groups; numbers of blocks have 64 bits
_MISREAD = {0x1: "compression", 0x8: "journal_dev", 0x1000: "dirdata"}
# filetype, needs_recovery, meta_bg, extent, 64bit, mmp, flex_bg, ea_inode, metadata_csum_seed, large_dir, inline_data,
# encrypt, casefold: each was read and held against what Linux reads, but for mmp and the seed, which move nothing
_READ = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
_NARROW = 32  # bytes of a descriptor, at least
_MOST_LOG = 6  # of a block's size in KiB


def scattered(superblock: bytes) -> bool:
    """Whether descriptors lie elsewhere than one behind the other, where The Sleuth Kit (4.15) looks for all of them:
    it reads inodes at other places than theirs then, and says nothing. A superblock that makes no sense says no.
    """
    (blocks,), (first, log_size) = struct.unpack_from("<I", superblock, 4), struct.unpack_from("<II", superblock, 20)
    (per_group,) = struct.unpack_from("<I", superblock, 32)
    (features,) = struct.unpack_from("<I", superblock, 96)
    if not features & _META_BG or not per_group or log_size > _MOST_LOG:
        return False
    length, together = _NARROW, struct.unpack_from("<I", superblock, 260)[0]
    if features & _WIDE:
        length = max(length, struct.unpack_from("<H", superblock, 254)[0])
        blocks |= struct.unpack_from("<I", superblock, 336)[0] << 32
    groups = -(-(blocks - first) // per_group)
    in_a_block = (1024 << log_size) // length
    blocks = -(-groups // in_a_block) if in_a_block else groups
    return bool(blocks > max(together, 1))


def unknown(superblock: bytes) -> str:
    """What a file system has that is not known here, by the features without which it should not be read; "" for
    nothing.
    """
    (features,) = struct.unpack_from("<I", superblock, 96)
    named = [name for bit, name in _MISREAD.items() if features & bit]
    left = features & ~_READ & ~sum(_MISREAD)
    named += [f"unknown ones ({left:#x})"] if left else []
    if not named:
        return ""
    return f"features of ext that this version does not read ({', '.join(named)}): names and contents may be others"
