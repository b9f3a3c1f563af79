"""Each table of the recommendations for one day: from the rows of its inputs to its own, and the figures that describe it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter

import numpy as np
import pyarrow as pa

from music_platform.errors import ManifestCorruptError
from music_platform.recommendation import rows
from music_platform.recommendation.day_of_inputs import DayOfInputs
from music_platform.recommendation.evaluation import JUDGED_RANKS
from music_platform.recommendation.examples import examples_of
from music_platform.recommendation.gate import Gain, chosen_weight, pooled
from music_platform.recommendation.interactions import COLUMNS, Interactions, Pairs, positions_of
from music_platform.recommendation.judging import Discoveries, judge_weights, served_lists
from music_platform.recommendation.keys import Keys, numbers_of_keys
from music_platform.recommendation.memory import require_memory
from music_platform.recommendation.model import SongFactors, Training, fold_in, no_vectors, train
from music_platform.recommendation.parameters import Parameters
from music_platform.recommendation.ranking import POPULARITY, Ranking
from music_platform.recommendation.similar_songs import similar_songs
from music_platform.recommendation.spark_training import train_on_spark
from music_platform.tables.contract import TableContract
from music_platform.tables.recommendations.blend_weights import BLEND_WEIGHTS, JUDGED_DAYS
from music_platform.tables.recommendations.evaluation import EVALUATION, MODEL, SERVED
from music_platform.tables.recommendations.evaluation import POPULARITY as POPULAR
from music_platform.tables.recommendations.recommendations import RECOMMENDATIONS
from music_platform.tables.recommendations.shared import ACTIVE_DAYS, LIST_LENGTH
from music_platform.tables.recommendations.similar_songs import SIMILAR_SONGS
from music_platform.tables.recommendations.song_factors import SONG_FACTORS

_LISTENERS_AT_ONCE = 16_384
_FIRST_OF_MONTH = "-01"
_MICROSECONDS = 1_000_000


@dataclass
class Made:
    """A day of a table: its rows, a file each table, and what whoever looks at the asset is shown.

    ``figures`` are numbers and texts by name, ``examples`` rows of a small table. Both are whole once ``tables`` were taken.
    """

    tables: Iterable[pa.Table]
    figures: dict[str, int | float | str] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)


def _columns(contract: TableContract) -> list[str]:
    return [column.name for column in contract.columns]


class _Inputs:
    """What several tables read of their inputs, of one day."""

    def __init__(self, inputs: DayOfInputs, day: str) -> None:
        self._inputs = inputs
        self._day = day

    @cached_property
    def interactions(self) -> Interactions:
        return Interactions.of(Pairs.of(self._inputs.batches("interactions", self._day, COLUMNS)))

    @cached_property
    def model(self) -> SongFactors:
        return rows.song_factors_of(self._inputs.batches("songs", self._day, _columns(SONG_FACTORS)))


def song_factors(inputs: DayOfInputs, parameters: Parameters) -> Made:
    """The day's model, trained from the one of the day before; from scratch on the first of a month."""
    if parameters.engine == "spark":
        return _song_factors_by_spark(inputs, parameters)
    require_memory(SONG_FACTORS.path, inputs.day, inputs.rows_of("interactions", inputs.day))
    interactions = _Inputs(inputs, inputs.day).interactions
    yesterday, reason = None, ""
    if inputs.day.endswith(_FIRST_OF_MONTH):
        reason = "scratch, as on each first of a month"
    else:
        try:
            found = inputs.previous(_columns(SONG_FACTORS))
            yesterday = None if found is None else rows.song_factors_of(found)
        except ManifestCorruptError as error:
            reason = f"scratch, for the day before cannot be read: {error}"
    began = perf_counter()
    trained = train(interactions, parameters, yesterday)
    made = _made_by_training(trained, inputs.day, perf_counter() - began)
    made.figures["listeners"] = len(interactions.users)
    if reason:
        made.figures["trained_from"] = reason
    return made


def _song_factors_by_spark(inputs: DayOfInputs, parameters: Parameters) -> Made:
    began = perf_counter()
    trained = train_on_spark(inputs.frame("interactions", inputs.day), parameters)
    return _made_by_training(trained, inputs.day, perf_counter() - began)


def _made_by_training(trained: Training, day: str, seconds: float) -> Made:
    model = trained.model
    return Made(
        [rows.song_factors_rows(model, day)],
        {
            "training_seconds": round(seconds, 3),
            "trained_from": trained.start,
            "iterations": trained.iterations,
            "parameters": model.parameters,
            "songs": len(model),
            "offered_songs": int(model.is_offered.sum()),
            "pairs": int(model.listeners.sum()),
        },
    )


def similar_songs_of_day(inputs: DayOfInputs, parameters: Parameters) -> Made:  # noqa: ARG001 (as the other tables)
    """To each song the nearest others of the day's model."""
    model = _Inputs(inputs, inputs.day).model
    of, nearest, cosines = similar_songs(model)
    return Made(
        [rows.similar_songs_rows(model.songs, of, nearest, cosines, inputs.day)],
        {
            "songs_with_similar_ones": len(of),
            "mean_similarity_of_the_first": float(cosines[:, 0].mean()) if len(of) else 0.0,
        },
    )


def blend_weights(inputs: DayOfInputs, parameters: Parameters) -> Made:
    """The gains of the days judged last: the earlier ones carried forward, and the one that this day's plays judge."""
    found = inputs.previous(_columns(BLEND_WEIGHTS))
    gains = [] if found is None else rows.gains_of(found)
    figures: dict[str, int | float | str] = {}
    if (judged := _judged(inputs)) is not None:
        before, discoveries = judged
        of_day, qualities = judge_weights(before.interactions, before.model, discoveries, parameters)
        if len(discoveries.listeners):
            gains += [(inputs.day, gain) for gain in of_day]
        figures |= {
            f"ndcg_at_10_of_weight_{weight:g}": quality.ndcg_at_10
            for weight, quality in qualities.items()
            if quality.judged_listeners
        }
    last = sorted({judged_on for judged_on, _ in gains})[-JUDGED_DAYS:]
    gains = [(judged_on, gain) for judged_on, gain in gains if judged_on in last]
    weight = chosen_weight([gain for _, gain in gains], parameters.gate_errors)
    proven = pooled(gain for _, gain in gains if gain.weight == weight)
    figures |= {"weight": weight, "judged_days": len(last), "judged_listeners": proven.listeners,
                "gain_over_popularity": proven.mean}  # fmt: skip
    if np.isfinite(proven.standard_error):
        figures["gain_standard_error"] = proven.standard_error
    return Made([rows.blend_weights_rows(gains, inputs.day)], figures)


def recommendations(inputs: DayOfInputs, parameters: Parameters) -> Made:
    """Each active listener's list of the day, blended by the weight that the judged days prove."""
    today = _Inputs(inputs, inputs.day)
    interactions, model = today.interactions, today.model
    gains = rows.gains_of(inputs.batches("weights", inputs.day, _columns(BLEND_WEIGHTS)))
    weight = chosen_weight([gain for _, gain in gains], parameters.gate_errors)
    ranking = Ranking(model)
    since = _microseconds(inputs.day) - (ACTIVE_DAYS - 1) * 86_400 * _MICROSECONDS
    active = np.flatnonzero(interactions.last_played >= since)
    figures: dict[str, int | float | str] = {
        "weight": weight,
        "active_listeners": len(active),
        "offered_songs": len(ranking.offered),
    }

    examples: list[dict[str, str]] = []

    def lists() -> Iterator[pa.Table]:
        for first in range(0, len(active), _LISTENERS_AT_ONCE):
            listeners = interactions.of_users(active[first : first + _LISTENERS_AT_ONCE])
            vectors = no_vectors(model, listeners) if weight == POPULARITY else fold_in(model, listeners, parameters)
            made = ranking.lists(vectors, listeners, weight)
            if not examples:
                examples.extend(examples_of(inputs, listeners, model, made))
            yield rows.lists_rows(made, listeners.users, model.songs, inputs.day)

    return Made(lists(), figures, examples)


def evaluation(inputs: DayOfInputs, parameters: Parameters) -> Made:
    """The lists that were served on the day before, popularity's and the model's alone, judged by this day's plays."""
    if (judged := _judged(inputs)) is None or not inputs.is_published("lists", inputs.day_before):
        return Made([])
    before, discoveries = judged
    if not len(discoveries.listeners):
        return Made([])
    published = pa.Table.from_batches(
        inputs.batches("lists", inputs.day_before, ["user_key", "rank", "song_key", "weight"]),
        pa.schema(
            [("user_key", pa.string()), ("rank", pa.int32()), ("song_key", pa.string()), ("weight", pa.float64())]
        ),
    )
    served = served_lists(published, before.interactions, before.model, discoveries, LIST_LENGTH)
    weights = published["weight"].to_numpy()
    ranking = Ranking(before.model)
    listeners = before.interactions.of_users(discoveries.listeners)
    users = fold_in(before.model, listeners, parameters)
    models = {
        SERVED: (float(weights.min()) if len(weights) else POPULARITY, served),
        POPULAR: (POPULARITY, ranking.lists(users, listeners, POPULARITY).songs),
        MODEL: (0.0, ranking.lists(users, listeners, 0.0).songs),
    }
    qualities = {name: (weight, discoveries.judge(lists, before.model)) for name, (weight, lists) in models.items()}
    base = qualities[POPULAR][1].ndcg_of_each
    entries = [
        (name, weight, quality, Gain.of(weight, quality.ndcg_of_each - base))
        for name, (weight, quality) in sorted(qualities.items())
    ]
    figures: dict[str, int | float | str] = {"judged_listeners": len(discoveries.listeners)}
    for name, weight, quality, gain in entries:
        figures[f"ndcg_at_10_{name}"] = quality.ndcg_at_10
        figures[f"coverage_at_10_{name}"] = quality.coverage_at_10
        figures[f"novelty_at_10_{name}"] = quality.novelty_at_10
        if name == SERVED:
            figures |= {"weight_served": weight, "gain_over_popularity": gain.mean}
            if np.isfinite(gain.standard_error):
                figures["gain_standard_error"] = gain.standard_error
    if (churn := _churn(inputs)) is not None:
        figures["churn"] = churn
    return Made([rows.evaluation_rows(entries, inputs.day)], figures)


def _churn(inputs: DayOfInputs) -> float | None:
    """The share of the first songs of the day's lists that the same listener's list of the day before did not begin with.

    None where no listener has a list on both days.
    """
    (users_before, songs_before), (users, songs) = (
        _first_songs(inputs, day) for day in (inputs.day_before, inputs.day)
    )
    have_both = np.isin(users, users_before)
    if not have_both.any():
        return None
    listeners, catalogue = np.unique(users), np.unique(songs)
    codes = positions_of(users, listeners) * len(catalogue) + positions_of(songs, catalogue)
    at = positions_of(users_before, listeners), positions_of(songs_before, catalogue)
    may_be_kept = (at[0] >= 0) & (at[1] >= 0)
    earlier = (at[0] * len(catalogue) + at[1])[may_be_kept]
    return float((~np.isin(codes[have_both], earlier)).mean())


def _first_songs(inputs: DayOfInputs, day: str) -> tuple[Keys, Keys]:
    """The listeners and songs of a day's lists, as far as they are judged."""
    found: dict[str, list[Keys]] = {"user_key": [np.empty(0, np.uint64)], "song_key": [np.empty(0, np.uint64)]}
    for batch in inputs.batches("lists", day, ["user_key", "rank", "song_key"]):
        kept = batch.filter(pa.array(batch.column("rank").to_numpy() <= JUDGED_RANKS))
        for name, parts in found.items():
            parts.append(numbers_of_keys(kept.column(name), name))
    return np.concatenate(found["user_key"]), np.concatenate(found["song_key"])


def _judged(inputs: DayOfInputs) -> tuple[_Inputs, Discoveries] | None:
    """The day before, and what listeners discovered on this day; None where the day before has no model."""
    before = inputs.day_before
    if not inputs.is_published("songs", before) or not inputs.is_published("interactions", before):
        return None
    known = _Inputs(inputs, before)
    if not len(known.model):
        return None
    midnight = _microseconds(inputs.day)
    today = Pairs.of(inputs.batches("interactions", inputs.day, COLUMNS), since=midnight)
    return known, Discoveries.of(known.interactions, known.model, today, midnight)


def _microseconds(day: str) -> int:
    return int(rows.moment_of_day(day).timestamp()) * _MICROSECONDS


Maker = Callable[[DayOfInputs, Parameters], Made]

MAKERS: dict[str, Maker] = {
    SONG_FACTORS.path: song_factors,
    SIMILAR_SONGS.path: similar_songs_of_day,
    BLEND_WEIGHTS.path: blend_weights,
    RECOMMENDATIONS.path: recommendations,
    EVALUATION.path: evaluation,
}
"""What makes a day of each table, by the table's path."""
