"""The datasets of the recommendations: what listeners are offered, which songs are alike, how good the lists were."""

from __future__ import annotations

from music_platform.serving.superset.axes import PERCENT
from music_platform.serving.superset.datasources import TIME
from music_platform.serving.superset.model import ComputedColumn, Dataset, Metric
from music_platform.tables.recommendations.evaluation import MODEL, POPULARITY, SERVED

_SCORE = ",.3f"
_DAY_MILLISECONDS = 86_400_000

RECOMMENDATIONS = Dataset(
    datasource="recommendations",
    description="The first songs that each listener is offered, on the last days.",
    metrics=(
        Metric(key="lists", label="Lists", expression="COUNT(*)",
               description="Lists in which the song stands; each listener has one a day."),
        Metric(key="listeners", label="Listeners", expression='COUNT(DISTINCT "user_key")'),
        Metric(key="songs", label="Songs", expression='COUNT(DISTINCT "song_key")'),
        Metric(key="place", label="Place",
               expression=f'MIN("rank") - 100 * TIMESTAMP_TO_MILLIS(MAX("{TIME}")) / {_DAY_MILLISECONDS}',
               description="Orders lists by day, the last one first, and each by rank."),
    ),
    # Listeners as texts: to search among numbers, Superset asks Druid for a type that it does not know.
    computed=(
        ComputedColumn(name="listener", label="Listener", expression='CAST("user_id" AS VARCHAR)'),
        ComputedColumn(name="day", label="Day", expression=f"TIME_FORMAT(\"{TIME}\", 'MMM dd')"),
    ),
    labels={"rank": "Rank", "title": "Song", "artist": "Artist"},
)  # fmt: skip

SIMILAR_SONGS = Dataset(
    datasource="similar_songs",
    description="For each song those that the same listeners play.",
    metrics=(
        Metric(key="similarity", label="Similarity", expression='MAX("similarity")', number_format=_SCORE,
               description="Cosine of the angle between the songs' vectors."),
    ),
    computed=(ComputedColumn(name="similar_to", label="Similar to", expression='"title" || \' (\' || "artist" || \')\''),),
    labels={"similar_title": "Song", "similar_artist": "Artist", "rank": "Rank"},
)  # fmt: skip

_LISTS = " ".join(
    f"WHEN '{model}' THEN '{label}'"
    for model, label in ((SERVED, "Served"), (POPULARITY, "Popularity"), (MODEL, "Model alone"))
)


def _mean(column: str, *, of: str | None = None) -> str:
    """The mean over the judged lists of all days; ``of`` those of one model."""
    lists = f'CASE WHEN "model" = \'{of}\' THEN "judged_listeners" ELSE 0 END' if of else '"judged_listeners"'
    return f'SUM("{column}" * {lists}) / NULLIF(SUM({lists}), 0)'


def _bound(sign: str) -> str:
    return f'SUM("gain_over_popularity" {sign} 2 * "gain_standard_error")'


RECOMMENDATION_QUALITY = Dataset(
    datasource="recommendation_quality",
    description="What the lists of the day before were worth on each day.",
    metrics=(
        Metric(key="ndcg", label="nDCG@10", expression=_mean("ndcg_at_10"), number_format=_SCORE,
               description="How well the first ten songs meet what is played next; mean over listeners."),
        Metric(key="served_to_popularity", label="Served to popularity", number_format=",.2f",
               expression=f"{_mean('ndcg_at_10', of=SERVED)} / NULLIF({_mean('ndcg_at_10', of=POPULARITY)}, 0)",
               description="nDCG@10 of the served lists, divided by popularity's."),
        Metric(key="judged", label="Judged lists",
               expression=f"SUM(CASE WHEN \"model\" = '{SERVED}' THEN \"judged_listeners\" ELSE 0 END)",
               description="Lists whose listener played a new song on the day after."),
        Metric(key="gain", label="Gain", expression='SUM("gain_over_popularity")', number_format=_SCORE,
               description="Mean over the listeners of the difference of nDCG@10 to popularity's list."),
        Metric(key="gain_low", label="Gain less 2 errors", expression=_bound("-"), number_format=_SCORE),
        Metric(key="gain_high", label="Gain plus 2 errors", expression=_bound("+"), number_format=_SCORE),
        Metric(key="weight", label="Weight", expression='MAX("weight")', number_format=",.0%",
               description="0 % is the model alone, 100 % popularity alone."),
        Metric(key="hit_rate", label="Hit rate", expression=_mean("hit_rate_at_10"), number_format=PERCENT,
               description="Listeners of whose first ten songs at least one was played."),
        Metric(key="coverage", label="Coverage", expression=_mean("coverage_at_10"), number_format=PERCENT,
               description="Songs among the first ten of some list, of all songs."),
        Metric(key="novelty", label="Novelty", expression=_mean("novelty_at_10"), number_format=",.1f",
               description="How surprising the songs are, in bits: one more is half as popular."),
    ),
    computed=(
        # Not ``lists``: a filter by a column acts on a measure of its name in another dataset.
        ComputedColumn(name="made_by", label="Lists", expression=f'CASE "model" {_LISTS} END'),
    ),
)  # fmt: skip
