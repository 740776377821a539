"""Keys: Ed25519 to sign (RFC 8032), age X25519 to open Bundles. Private keys lie outside every case.

The key folder is `$CLEW_KEYS`, else ~/.config/clew/keys. NAME.key (PKCS#8 PEM, RFC 5958) and NAME.pub
(SubjectPublicKeyInfo PEM, RFC 8410) are what `openssl` reads; NAME.age and NAME.recipient are what `age` reads.
"""

import os
import re
from pathlib import Path

import pyrage
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from clew.core.errors import Damaged, Usage
from clew.core.names import NAME, NAME_HINT

RAW_PUBLIC_HEX = re.compile(r"[0-9a-f]{64}")


def key_folder() -> Path:
    """Where this person's private keys lie."""
    return Path(os.environ.get("CLEW_KEYS") or Path.home() / ".config/clew/keys")


def new_signing_key(name: str, folder: Path | None = None) -> Path:
    """Makes NAME.key (mode 0600) and NAME.pub; returns the path of NAME.pub. Raises Usage where the name is taken."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    public = key.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
    _write_new(_path(name, "key", folder), private, 0o600)
    target = _path(name, "pub", folder)
    _write_new(target, public, 0o644)
    return target


def signing_key(name: str, folder: Path | None = None) -> Ed25519PrivateKey:
    """The private key of that name. Raises Usage where there is none."""
    path = _path(name, "key", folder)
    try:
        loaded = ser.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError as error:
        raise Usage(f"there is no signing key {name!r} in {path.parent}", f"make it: clew key new {name}") from error
    except ValueError as error:
        raise Usage(f"{path} is not a PKCS#8 PEM private key", "restore it from your own copy") from error
    if not isinstance(loaded, Ed25519PrivateKey):
        raise Usage(f"{path} is not an Ed25519 key", f"make one with: clew key new {name}")
    return loaded


def new_age_identity(name: str, folder: Path | None = None) -> str:
    """Makes NAME.age (mode 0600) and NAME.recipient; returns the recipient (age1...)."""
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    _write_new(_path(name, "age", folder), f"# public key: {recipient}\n{identity}\n".encode(), 0o600)
    _write_new(_path(name, "recipient", folder), f"{recipient}\n".encode(), 0o644)
    return recipient


def age_identity(name: str, folder: Path | None = None) -> str:
    """The secret age identity (AGE-SECRET-KEY-1...) of that name. Raises Usage where there is none."""
    path = _path(name, "age", folder)
    try:
        lines = path.read_text("ascii").splitlines()
    except FileNotFoundError as error:
        raise Usage(
            f"there is no age identity {name!r} in {path.parent}",
            "name yours with --identity, or restore it from your own copy: a new one opens nothing that was made for "
            "another",
        ) from error
    found = [line for line in lines if line.startswith("AGE-SECRET-KEY-1")]
    if len(found) != 1:
        raise Usage(f"{path} does not hold one age identity", "restore it from your own copy")
    return found[0]


def recipient(name: str, folder: Path | None = None) -> str:
    """What others encrypt for that name with (age1...). Raises Usage where there is none."""
    path = _path(name, "recipient", folder)
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError as error:
        raise Usage(f"there is no key {name!r} in {path.parent}", f"make it: clew key new {name}") from error


def public_hex(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """The raw 32-byte public key, as 64 hexadecimal digits."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes(ser.Encoding.Raw, ser.PublicFormat.Raw).hex()


def read_public(text_or_path: str) -> str:
    """A public key given as 64 hexadecimal digits, as a PEM file, or as the name of a key in the key folder.

    Raises Usage for anything else.
    """
    if RAW_PUBLIC_HEX.fullmatch(text_or_path.lower()):
        return text_or_path.lower()
    path = Path(text_or_path)
    if not path.is_file() and NAME.fullmatch(text_or_path):
        path = _path(text_or_path.removesuffix(".pub"), "pub", None)
    try:
        loaded = ser.load_pem_public_key(path.read_bytes())
    except FileNotFoundError as error:
        raise Usage(f"there is no public key {text_or_path}", "give a .pub file, or 64 hexadecimal digits") from error
    except ValueError as error:
        raise Usage(f"{path} is not a PEM public key", "give the .pub file that clew key new made") from error
    if not isinstance(loaded, Ed25519PublicKey):
        raise Usage(f"{path} is not an Ed25519 public key", "give the .pub file that clew key new made")
    return public_hex(loaded)


def sign(key: Ed25519PrivateKey, data: bytes) -> bytes:
    """The 64-byte Ed25519 signature of `data`."""
    return key.sign(data)


def verify(public: str, data: bytes, signature: bytes) -> None:
    """Returns where the signature holds; raises Damaged where it does not."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, data)
    except (InvalidSignature, ValueError) as error:
        raise Damaged("the signature does not hold", "it was altered, or another key signed it") from error


def _path(name: str, suffix: str, folder: Path | None) -> Path:
    if not NAME.fullmatch(name):
        raise Usage(f"{name!r} is no name for a key", NAME_HINT)
    return (folder or key_folder()) / f"{name}.{suffix}"


def _write_new(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise Usage(f"{path} is there already", "keys are never overwritten: choose another name") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
