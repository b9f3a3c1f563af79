"""`music-platform recommend`: what a listener is offered and why, or the songs that are like one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import console, echo_json, errors_as_messages, fail, settings_of_command
from music_platform.lake.lake import Lake
from music_platform.partitions import is_day
from music_platform.recommendation.lookup import (
    ListenerOffers,
    Neighbours,
    Song,
    latest_day,
    neighbours_of,
    offers_to,
)


def recommend(
    user: Annotated[int | None, typer.Option(help="Number of the listener, as events have it.", min=0)] = None,
    song: Annotated[str | None, typer.Option(help="Title of a song, whole, in any case of letters.")] = None,
    day: Annotated[str | None, typer.Option(help="Day of the lists, as 2026-11-01; the last one by default.")] = None,
    limit: Annotated[int, typer.Option(help="Songs to print.", min=1, max=50)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What a listener played last and is offered next, with the reason; or the songs that are like one.

    Exit code 1 when the day has no recommendations or no song has the title.
    """
    if (user is None) == (song is None):
        fail("name either a listener, as --user 17, or a song, as --song 'Title'", 2)
    if day is not None and not is_day(day):
        fail(f"'{day}' is not a day; write it as 2026-11-01", 2)
    lake = Lake(settings_of_command())
    with errors_as_messages():
        chosen = day or latest_day(lake)
        found = (
            offers_to(lake, user, chosen, limit) if user is not None else neighbours_of(lake, str(song), chosen, limit)
        )
    if as_json:
        echo_json(found.to_json())
    elif isinstance(found, ListenerOffers):
        print_offers(found)
    else:
        _print_neighbours(found)


def print_offers(found: ListenerOffers) -> None:
    """A listener's last plays, and the list with its reasons."""
    if found.last_plays:
        plays = _table(
            f"Listener {found.user_id} played last, up to {found.day}", "title", "artist", "last played", "plays"
        )
        for play in found.last_plays:
            plays.add_row(*_names(play.song), f"{play.last_played_at:%Y-%m-%d %H:%M}", f"{play.plays:,}")
        console.print(plays)
    if not found.has_list:
        console.print(
            Text(f"Listener {found.user_id} has no list of {found.day}: nothing is known of what they like lately, so they get "
                 "what is popular.")
        )  # fmt: skip
    offers = _table(f"Offered to listener {found.user_id} on {found.day}", "#", "title", "artist", "why")
    for offer in found.offers:
        because = f"like {offer.because.title}" if offer.because else "popular"
        offers.add_row(str(offer.rank), *_names(offer.song), Text(because))
    console.print(offers)


def _print_neighbours(found: Neighbours) -> None:
    console.print(Text(f"{found.song.title} by {found.song.artist}, on {found.day}"))
    for other in found.others:
        console.print(Text(f"Not this one: {other.title} by {other.artist}"))
    if not found.similar:
        console.print(Text("Too few listeners played it to say what is like it."))
        return
    similar = _table("Songs that the same listeners play", "#", "title", "artist", "similarity")
    for entry in found.similar:
        similar.add_row(str(entry.rank), *_names(entry.song), f"{entry.similarity:.2f}")
    console.print(similar)


def _names(song: Song) -> tuple[Text, Text]:
    return Text(song.title), Text(song.artist)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=Text(title), title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in ("#", "plays", "similarity") else "left")
    return table
