"""`clew force`: the directory of forces."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core import forces, keys
from clew.model import Force


@click.group(
    "force",
    epilog="\b\nExample:\n  clew force add CASE AT --name 'Bundeskriminalamt' --country AT\n  clew force list CASE",
)
def force() -> None:
    """Add the forces that receive Bundles or send them, with the keys that each gave you itself."""


@force.command(
    epilog="\b\nExample:\n  clew force add cases/icarus AT --name BK --country AT --recipient age1... --key at.pub"
)
@case_argument
@click.argument("code")
@click.option("--name", required=True, help="Its name.")
@click.option("--country", required=True, help="ISO 3166-1 alpha-2.")
@click.option("--region", help="ISO 3166-2 subdivision, where a country has several forces.")
@click.option("--recipient", help="Its age recipient (age1...), to encrypt Bundles for it.")
@click.option("--key", help="Its public signing key: a .pub file, or 64 hexadecimal digits.")
def add(
    case: Path, code: str, name: str, country: str, region: str | None, recipient: str | None, key: str | None
) -> None:
    """Add the force CODE to the CASE, or replace what stands under its code."""
    public = keys.read_public(key) if key else None
    added = Force(code, name, country, region, recipient, public)
    forces.add(open_case(case), added)
    click.echo(f"{code}: {name} ({country}){_lacks(added)}")


@force.command("list", epilog="\b\nExample:\n  clew force list cases/icarus")
@case_argument
@json_option
def list_(case: Path, as_json: bool) -> None:
    """List the forces of the CASE, and the keys that it holds of each, to compare them with the force itself."""
    found = forces.all_of(open_case(case))
    rows = [
        {
            "code": f.code,
            "name": f.name,
            "country": f.country,
            "region": f.region,
            "recipient": f.age_recipient,
            "key": f.signing_key,
        }
        for f in found
    ]
    lines = [line for f, row in zip(found, rows, strict=True) for line in (_words(f), *_keys(row))]
    emit(as_json, {"forces": rows}, "\n".join(lines) or "no force in this case")


def _words(found: Force) -> str:
    region = "/" + found.region if found.region else ""
    return f"{found.code}  {found.name} ({found.country}{region}){_lacks(found)}"


def _keys(row: dict[str, str | None]) -> list[str]:
    return [f"    {name:9s} {row[name]}" for name in ("recipient", "key") if row[name]]


def _lacks(found: Force) -> str:
    lacking = [what for what, value in (("recipient", found.age_recipient), ("key", found.signing_key)) if not value]
    return f"; no {' and no '.join(lacking)} yet" if lacking else ""


COMMAND = force
