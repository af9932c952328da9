"""The terminal's face: `location-detection detect | evaluate | serve | work | jobs | version`.

Every command imports what it needs when it runs, so that `version` and `--help` answer at once.
"""

from __future__ import annotations

import importlib.metadata

import typer

from cli.detect import detect
from cli.evaluate import evaluate
from cli.jobs import jobs_app
from cli.serve import serve, work

EXIT_CODES = "Exit codes: 0 all went well; 1 something failed (stderr says what); 2 wrong usage."

app = typer.Typer(
    name="location-detection",
    help=f"A blueprint (PNG, JPG or PDF) goes in, its rooms come out as polygons.\n\n{EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(epilog=EXIT_CODES)(detect)
app.command(epilog=EXIT_CODES)(evaluate)
app.command(epilog=EXIT_CODES)(serve)
app.command(epilog=EXIT_CODES)(work)
app.add_typer(jobs_app, name="jobs", epilog=EXIT_CODES)


@app.command()
def version() -> None:
    """Print the version of the program."""
    typer.echo(f"location-detection {importlib.metadata.version('location-detection')}")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
