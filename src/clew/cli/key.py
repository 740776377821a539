"""`clew key`: keys, outside every case."""

import json
from pathlib import Path

import click

from clew.cli._common import emit, json_option
from clew.core import keys, mandate
from clew.core.errors import Usage


@click.group(
    "key",
    epilog="\b\nExamples:\n  clew key new authority\n"
    "  clew key sign mandate draft.json --key authority --out mandate.json",
)
def key() -> None:
    """Make keys, show them, and sign Mandates and Watches with them.

    Keys lie in $CLEW_KEYS, or ~/.config/clew/keys. The authority's key belongs on another machine than the operator's.
    """


@key.command(epilog="\b\nExample:\n  clew key new authority")
@click.argument("name")
@json_option
def new(name: str, as_json: bool) -> None:
    """Make a signing key and an age identity called NAME."""
    public = keys.new_signing_key(name)
    recipient = keys.new_age_identity(name)
    data = {
        "name": name,
        "public_key": keys.read_public(str(public)),
        "recipient": recipient,
        "folder": str(public.parent),
    }
    emit(as_json, data, _words(data))


@key.command(epilog="\b\nExample:\n  clew key show authority")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the public part of NAME: what others need to verify and to encrypt."""
    data = {
        "name": name,
        "recipient": keys.recipient(name),
        "public_key": keys.read_public(name),
        "folder": str(keys.key_folder()),
    }
    emit(as_json, data, _words(data))


@key.command(epilog="\b\nExample:\n  clew key sign mandate draft.json --key authority --out mandate.json")
@click.argument("kind", type=click.Choice(["mandate", "watch"]))
@click.argument("draft", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--key", "name", required=True, help="The authority's signing key.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the signed document goes.")
def sign(kind: str, draft: Path, name: str, out: Path) -> None:
    """Sign a DRAFT as the authority, on the authority's machine."""
    from clew.core import watch

    try:
        body = json.loads(draft.read_bytes())
    except ValueError as error:
        raise Usage(f"{draft} is not JSON: {error}", f"draft one with: clew {kind} draft") from error
    if not isinstance(body, dict):
        raise Usage(f"{draft} holds no JSON object", f"draft one with: clew {kind} draft")
    (mandate.from_draft if kind == "mandate" else watch.from_body)(body)
    if out.exists():
        raise Usage(f"{out} is there already", "name a new file")
    out.write_bytes(mandate.sign_document(kind, body, keys.signing_key(name)))
    click.echo(f"{out} is signed by {keys.public_hex(keys.signing_key(name))}")


def _words(data: dict[str, str]) -> str:
    return (
        f"{data['name']}, in {data['folder']}\n"
        f"  public key, to verify what it signs:  {data['public_key']}\n"
        f"  recipient, to encrypt for it:         {data['recipient']}\n"
        f"  {data['name']}.key and {data['name']}.age are secret: they stay where they are"
    )


COMMAND = key
