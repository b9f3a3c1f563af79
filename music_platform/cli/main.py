"""The `music-platform` command: its subcommands, put together."""

import typer

from music_platform.cli import check, demo, dictionary, generate, land, lineage, quarantine, results, superset

app = typer.Typer(
    name="music-platform",
    help="The music data platform: generate and land events, check partitions, see results, look into quarantine.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals can hold credentials
)
app.command("generate")(generate.generate)
app.command("land")(land.land)
app.command("check")(check.check)
app.command("demo")(demo.demo)
app.command("results")(results.results)
app.command("dictionary")(dictionary.dictionary)
app.command("lineage")(lineage.lineage)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(superset.app, name="superset")
