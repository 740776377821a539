"""age (https://age-encryption.org/v1) by pyrage: X25519 recipients, one file, streamed.

A broken age file gives up plaintext before the break is noticed, so nothing is looked at, or gets its name, before the
last block was authenticated.
"""

import os
from pathlib import Path

import pyrage

from clew.core.errors import Damaged, Refused, Usage

MAGIC = b"age-encryption.org/v1\n"


def recipient(text: str) -> pyrage.x25519.Recipient:
    """The age recipient written as `text`. Raises Usage where it is none."""
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise Usage(
            f"this is no age recipient: {text[:80]!r}", "it begins with age1; the force gives it to you"
        ) from error


def identity(text: str) -> pyrage.x25519.Identity:
    """The age identity in the text of an identity file. Raises Usage where there is none."""
    for line in text.splitlines():
        if line.startswith("AGE-SECRET-KEY-1"):
            try:
                return pyrage.x25519.Identity.from_str(line.strip())
            except pyrage.IdentityError:
                break
    raise Usage("this is no age identity", "make one with: clew key new NAME")


def public_of(secret: str) -> str:
    """The recipient (age1...) that belongs to an identity's text."""
    return str(identity(secret).to_public())


def encrypt(source: Path, target: Path, to: str) -> None:
    """Encrypts a file for one recipient into the new file `target`, durable on return."""
    with source.open("rb") as plain, target.open("xb") as sealed:
        pyrage.encrypt_io(plain, sealed, [recipient(to)])
        sealed.flush()
        os.fsync(sealed.fileno())


def decrypt(source: Path, target: Path, secret: str) -> None:
    """Decrypts into `target`, which exists only if every byte was authenticated.

    Raises Refused where the file is for somebody else, Damaged where it is broken, saying how far it held.
    """
    partial = target.with_name(f".{target.name}.part")
    try:
        with source.open("rb") as sealed, partial.open("xb") as plain:
            if sealed.read(len(MAGIC)) != MAGIC:
                raise Damaged(f"{source.name} is not an age file", "a bundle is the .age file, as it was sent")
            sealed.seek(0)
            _decrypt(sealed, plain, secret, source.name)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)


def _decrypt(sealed: object, plain: object, secret: str, name: str) -> None:
    try:
        pyrage.decrypt_io(sealed, plain, [identity(secret)])
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise Refused(
                f"{name} is not encrypted for this identity, or its header was changed",
                "name the identity it was made for with --identity",
            ) from error
        raise _broken(name, plain, str(error)) from error
    except OSError as error:
        if error.errno is not None:  # the disk's error, not age's
            raise
        raise _broken(name, plain, str(error)) from error


def _broken(name: str, plain: object, why: str) -> Damaged:
    held = plain.tell() if hasattr(plain, "tell") else 0
    return Damaged(
        f"{name}: the age encryption does not hold after {held} bytes of its content ({why})",
        "the file was changed or cut on its way; ask the sender for it again",
    )
