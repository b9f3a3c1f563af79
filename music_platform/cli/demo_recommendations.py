"""What the demo shows at its end of the recommendations: a few listeners' lists, and what the lists gained."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from music_platform.cli.console import console
from music_platform.lake.lake import Lake
from music_platform.recommendation.lookup import judged_on, most_active_listeners, offers_to
from music_platform.tables.recommendations.evaluation import MODEL, POPULARITY, SERVED

_LISTENERS = 3
_SONGS = 3


def print_recommendations(lake: Lake, days: list[str]) -> None:
    """Three listeners' last plays and offers on the last day, and how the lists of the day before were judged."""
    day = days[-1]
    table = Table(title=Text(f"Recommendations of {day}"), title_justify="left")
    for column in ("listener", "played last", "is offered", "why"):
        table.add_column(column)
    for listener in most_active_listeners(lake, day, _LISTENERS):
        found = offers_to(lake, listener, day, _SONGS)
        table.add_row(
            str(listener),
            _lines(play.song.title for play in found.last_plays),
            _lines(offer.song.title for offer in found.offers),
            _lines("popular" if offer.because is None else f"like {offer.because.title}" for offer in found.offers),
            end_section=True,
        )
    console.print(table)
    console.print(Text(_judged(lake, day)))


def _lines(texts: Iterable[str]) -> Text:
    return Text("\n".join(texts))


def _judged(lake: Lake, day: str) -> str:
    """In words, how good the lists were that this day's plays judge."""
    judged = judged_on(lake, day)
    if not judged:
        return f"No listener with a list of the day before played a new song on {day}, so nothing is judged."
    served, popular, model = (judged[name] for name in (SERVED, POPULARITY, MODEL))
    text = (
        f"{served['judged_listeners']:,} listeners' plays of {day} judge the lists of the day before. NDCG@10: served "
        f"{served['ndcg_at_10']:.4f}, popularity {popular['ndcg_at_10']:.4f}, the model alone {model['ndcg_at_10']:.4f}"
    )
    if popular["ndcg_at_10"] > 0:
        times = served["ndcg_at_10"] / popular["ndcg_at_10"]
        text += f". Served is {times:.1f} times popularity"
    if served["gain_standard_error"]:
        text += f" (gain {served['gain_over_popularity']:+.4f}, standard error {served['gain_standard_error']:.4f})"
    return f"{text}. One listener's list: ./run music-platform recommend --user NUMBER"
