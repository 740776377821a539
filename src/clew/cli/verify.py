"""`clew verify`: a case, or a Bundle, from its own bytes."""

from pathlib import Path

import click

from clew.cli import _replay
from clew.cli._common import emit, json_option, open_case
from clew.core import keys
from clew.core.errors import Exit, Usage
from clew.core.verify import verify_case


@click.command(
    "verify",
    epilog="\b\nExamples:\n  clew verify cases/icarus --checkpoint checkpoint.note --sender-key eu.pub\n"
    "  clew verify cases/icarus --replay --json\n  clew verify AT-1f0c.tar.age --sender-key eu.pub --identity at",
)
@click.argument("thing", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--checkpoint", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="One that left this case."
)
@click.option("--sender-key", help="The sender's public key, as you got it from the sender: a .pub file or 64 digits.")
@click.option("--identity", help="For a Bundle: the name of your age identity.")
@click.option(
    "--replay",
    is_flag=True,
    help="Also derive every Sighting, Subject and Lead again from bytes, configuration and register answers.",
)
@json_option
def verify(
    thing: Path, checkpoint: Path | None, sender_key: str | None, identity: str | None, replay: bool, as_json: bool
) -> int:
    """Check THING: a case's folder, or a Bundle's file. Names the first place that does not hold.

    --replay shows consistency: that what is claimed follows from what was kept, under two hash seeds, without clock,
    network or chance. That the bytes were received at all is shown by a capture: clew capture compare. Exit status
    with --replay: 0 all is the same, 1 something differs, 3 something could not be derived.
    """
    public = keys.read_public(sender_key) if sender_key else None
    if thing.is_dir():
        note = checkpoint.read_text("utf-8") if checkpoint else None
        report = verify_case(open_case(thing), outside=note, signer=public)
        words = "the case holds: " + ", ".join(f"{count:,} {name}" for name, count in report.checks)
        if note is None:
            words += "\n(a cut tail only shows against a checkpoint that left the case: --checkpoint FILE)"
        elif public is None:
            words += "\n(who signed the checkpoint was not checked: --sender-key KEY)"
        words += f"\nnot covered: {'; '.join(report.not_covered)}"
        data = {"verified": True, "root": report.root.hex(), "not_covered": report.not_covered, **dict(report.checks)}
        again = _replay.derive(thing) if replay else None
        emit(
            as_json, data | ({"replay": again} if again else {}), f"{words}\n{_replay.words(again)}" if again else words
        )
        return _replay.status(again) if again else Exit.DONE
    if replay:
        raise Usage("a Bundle holds no transcripts of everything to replay", "give --replay with a case's folder")
    from clew.share.verify import verify_bundle

    if public is None or identity is None:
        raise Usage("a Bundle is checked with two keys of yours", "give --sender-key and --identity")
    found = verify_bundle(thing, sender_key=public, identity=keys.age_identity(identity))
    emit(as_json, found.as_dict(), "\n".join(f"{name}: {text}" for name, text in found.checks))
    return Exit.DONE


COMMAND = verify
