"""The `music-platform` command: its subcommands, put together."""

import typer

from music_platform.cli import (
    check,
    demo,
    dictionary,
    doctor,
    druid,
    fluentd,
    generate,
    land,
    landing,
    lineage,
    quarantine,
    results,
    status,
    superset,
    webserver,
)

app = typer.Typer(
    name="music-platform",
    help="The music data platform: generate and land events, check partitions, see results and health, run what serves them.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals can hold credentials
)
app.command("generate")(generate.generate)
app.command("land")(land.land)
app.command("check")(check.check)
app.command("demo")(demo.demo)
app.command("results")(results.results)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("webserver")(webserver.webserver)
app.command("dictionary")(dictionary.dictionary)
app.command("lineage")(lineage.lineage)
app.add_typer(landing.app, name="landing")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(druid.app, name="druid")
app.add_typer(fluentd.app, name="fluentd")
app.add_typer(superset.app, name="superset")
