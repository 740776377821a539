"""`clew review`: look at pictures and decide, on a page of this machine alone."""

import json
import webbrowser
from pathlib import Path

import click

from clew.cli._common import actor, case_argument, json_option, open_case


@click.command(
    "review",
    epilog="\b\nExamples:\n  clew review cases/icarus --reviewer heron\n  clew review cases/icarus --scheme training",
)
@case_argument
@click.option("--reviewer", help="Your pseudonym, for the ledger (default: CLEW_ACTOR, else the login name).")
@click.option("--port", default=0, show_default="a free one", type=click.IntRange(0, 65535), help="Port on 127.0.0.1.")
@click.option(
    "--scheme",
    default="vics-us-2.0",
    show_default=True,
    help="Category scheme: vics-us-2.0, training, or a JSON file in the same form.",
)
@click.option("--no-browser", is_flag=True, help="Print the address only; open no browser.")
@json_option
def review(case: Path, reviewer: str | None, port: int, scheme: str, no_browser: bool, as_json: bool) -> None:
    """Serve the review page of CASE on 127.0.0.1 until Ctrl-C.

    The printed address works once: it gives your browser a cookie for this run. Pictures are blurred and grey; hold the
    space bar to see one clearly. Every view and every decision goes into the case's ledger.
    """
    from clew.review.run import review as serve

    opened = open_case(case)
    opened.actor = reviewer or actor()

    def announce(address: str) -> None:
        if as_json:
            click.echo(json.dumps({"url": address, "reviewer": opened.actor}))
        else:
            click.echo(f"review page for {opened.actor} (this address works once):\n  {address}\nCtrl-C ends it.")
        if not no_browser:
            webbrowser.open(address)

    serve(opened, reviewer=opened.actor, port=port, scheme=scheme, announce=announce)
    opened.close()


COMMAND = review
