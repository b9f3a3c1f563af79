"""The tables of some days, one made from the other as the assets do, in worlds whose tastes are known."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from music_platform.partitions import partition_before
from music_platform.recommendation import memory
from music_platform.recommendation.days import MAKERS, Made
from music_platform.recommendation.interactions import Pairs
from music_platform.recommendation.keys import keys_of_numbers, numbers_of_keys
from music_platform.recommendation.memory import MemoryTooSmallError
from music_platform.recommendation.parameters import Parameters
from music_platform.tables.catalogue import RECOMMENDATION_TABLES
from music_platform.tables.schemas import arrow_schema
from music_platform_tests.unit.recommendation.given_day import GivenDay, interactions_rows
from music_platform_tests.unit.recommendation.planted_world import PlantedWorld, planted_world

_DAYS = [f"2026-11-{day:02}" for day in range(10, 16)]
_PARAMETERS = Parameters(factors=16)
_NAMES = {"songs": "song_factors", "weights": "blend_weights", "lists": "recommendations"}
_ORDER = ("song_factors", "similar_songs", "blend_weights", "recommendations", "evaluation")


@dataclass
class Lake:
    """The rows of every table by name and day, with what was made beside them."""

    rows: dict[tuple[str, str], pa.Table]
    made: dict[tuple[str, str], Made]

    def make(self, name: str, day: str, *, is_damaged: bool = False) -> pa.Table:
        path = f"recommendations/{name}"
        inputs = {
            (wanted, some_day): self.rows[_NAMES.get(wanted, wanted), some_day]
            for wanted in RECOMMENDATION_TABLES[path].inputs
            for some_day in (day, partition_before(day))
            if (_NAMES.get(wanted, wanted), some_day) in self.rows
        }
        own = self.rows.get((name, partition_before(day)))
        made = MAKERS[path](GivenDay(day, inputs, own, is_damaged), _PARAMETERS)
        schema = arrow_schema(RECOMMENDATION_TABLES[path].contract.columns)
        tables = list(made.tables)
        for table in tables:
            assert table.schema == schema
        self.rows[name, day] = pa.concat_tables(tables) if tables else schema.empty_table()
        self.made[name, day] = made
        return self.rows[name, day]

    def make_all(self, day: str) -> None:
        for name in _ORDER:
            self.make(name, day)

    def lists(self, day: str) -> dict[str, list[str]]:
        rows = self.rows["recommendations", day].sort_by([("user_key", "ascending"), ("rank", "ascending")])
        found: dict[str, list[str]] = {}
        for row in rows.select(["user_key", "song_key"]).to_pylist():
            found.setdefault(row["user_key"], []).append(row["song_key"])
        return found


def lake_of(pairs_by_day: dict[str, Pairs]) -> Lake:
    rows = {("interactions", day): interactions_rows(pairs, _DAYS[0]) for day, pairs in pairs_by_day.items()}
    for day, pairs in pairs_by_day.items():
        keys = keys_of_numbers(np.unique(pairs.songs))
        rows["titles", day] = pa.table({"song_key": keys, "title": [f"Title {key}" for key in keys.to_pylist()]})
    return Lake(rows, {})


def lake_of_world(world: PlantedWorld) -> Lake:
    return lake_of({day: world.pairs(number) for number, day in enumerate(_DAYS)})


def pairs_of(*plays: tuple[int, int, float, int]) -> Pairs:
    """Plays as listener, song, score and day of the last play."""
    users, songs, scores, last = zip(*plays, strict=True) if plays else ((), (), (), ())
    return Pairs(
        np.array(users, np.uint64), np.array(songs, np.uint64), np.array(scores, np.float32),
        np.array(last, np.int64) * 86_400_000_000 + 1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def planted() -> Lake:
    lake = lake_of_world(planted_world(users=400, songs=300))
    for day in _DAYS:
        lake.make_all(day)
    return lake


def evaluated(lake: Lake, day: str) -> dict[str, dict[str, float]]:
    return {row["model"]: row for row in lake.rows["evaluation", day].to_pylist()}


def test_on_planted_taste_the_model_is_served_and_wins(planted: Lake) -> None:
    last = evaluated(planted, _DAYS[-1])
    assert last["served"]["weight"] < 1
    assert last["served"]["ndcg_at_10"] > 2 * last["popularity"]["ndcg_at_10"]
    assert last["served"]["gain_over_popularity"] > 3 * last["served"]["gain_standard_error"]
    assert set(planted.rows["recommendations", _DAYS[-1]]["source"].to_pylist()) == {"model"}


def test_where_all_draw_from_popularity_the_lists_are_popularity() -> None:
    lake = lake_of_world(planted_world(users=400, songs=300, strength=0, seed=11))
    for day in _DAYS:
        lake.make_all(day)
        assert set(lake.rows["recommendations", day]["source"].to_pylist()) == {"popularity"}
    last = evaluated(lake, _DAYS[-1])
    assert last["served"]["ndcg_at_10"] == last["popularity"]["ndcg_at_10"]
    assert last["als"]["ndcg_at_10"] < last["popularity"]["ndcg_at_10"]


def test_nothing_of_a_day_changes_the_lists_that_it_judges() -> None:
    world = planted_world(users=200, songs=200)
    lake, other = lake_of_world(world), lake_of_world(world)
    other.rows["interactions", _DAYS[1]] = other.rows["interactions", _DAYS[0]]
    for made in (lake, other):
        made.make_all(_DAYS[0])
        made.make_all(_DAYS[1])
    assert lake.lists(_DAYS[0]) == other.lists(_DAYS[0])
    assert not other.rows["evaluation", _DAYS[1]].num_rows  # nobody played anything


def test_days_are_judged_by_their_discoveries(planted: Lake) -> None:
    """The served lists' hit rate again, by sets of keys."""
    before, day = _DAYS[-2:]
    known, today = ({(row["user_key"], row["song_key"]): row["last_played_at"] for row in planted.rows["interactions", some]
                     .to_pylist()} for some in (before, day))  # fmt: skip
    midnight = max(today.values()).replace(hour=0, minute=0, second=0, microsecond=0)
    discovered: dict[str, set[str]] = {}
    for pair, moment in today.items():
        if moment >= midnight and pair not in known:
            discovered.setdefault(pair[0], set()).add(pair[1])
    lists = planted.lists(before)
    judged = {user: songs for user, songs in discovered.items() if user in lists}
    hits = [bool(set(lists[user][:10]) & songs) for user, songs in judged.items()]
    served = evaluated(planted, day)["served"]
    assert served["judged_listeners"] == len(judged)
    assert served["hit_rate_at_10"] == pytest.approx(sum(hits) / len(hits))


def test_the_last_seven_judged_days_are_carried_forward(planted: Lake) -> None:
    rows = planted.rows["blend_weights", _DAYS[-1]]
    assert len(set(rows["judged_on"].to_pylist())) == len(_DAYS) - 1
    assert rows.num_rows == (len(_DAYS) - 1) * 6
    world = planted_world(users=30, songs=60, days=12)
    days = [f"2026-11-{day:02}" for day in range(10, 22)]
    lake = lake_of({day: world.pairs(number) for number, day in enumerate(days)})
    for day in days:
        lake.make("song_factors", day)
        lake.make("blend_weights", day)
    kept = sorted(
        {moment.strftime("%Y-%m-%d") for moment in lake.rows["blend_weights", days[-1]]["judged_on"].to_pylist()}
    )
    assert kept == days[-7:]


def test_the_same_day_twice_is_the_same(planted: Lake) -> None:
    before = {name: planted.rows[name, _DAYS[-1]] for name in _ORDER}
    for name in _ORDER:
        assert planted.make(name, _DAYS[-1]).equals(before[name])


def test_figures_and_examples_for_the_asset(planted: Lake) -> None:
    figures = planted.made["song_factors", _DAYS[-1]].figures
    assert (figures["trained_from"], figures["iterations"]) == ("the day before", 2)
    assert 0 <= float(planted.made["evaluation", _DAYS[-1]].figures["churn"]) < 1
    examples = planted.made["recommendations", _DAYS[-1]].examples
    assert [row["listener"] for row in examples] == ["1", "2", "3", "4", "5"]
    assert all(row["is offered"].startswith("Title ") for row in examples)
    assert not any(key in str(examples) for key in planted.lists(_DAYS[-1]))  # nobody is named


def test_churn_is_the_share_of_first_songs_that_are_new(planted: Lake) -> None:
    before, now = ({user: songs[:10] for user, songs in planted.lists(day).items()} for day in _DAYS[-2:])
    songs = [(user, song) for user in now.keys() & before.keys() for song in now[user]]
    new = [song not in before[user] for user, song in songs]
    assert planted.made["evaluation", _DAYS[-1]].figures["churn"] == pytest.approx(sum(new) / len(new))


def test_the_first_of_a_month_begins_from_scratch() -> None:
    world = planted_world(users=30, songs=40)
    lake = lake_of({"2026-11-30": world.pairs(0), "2026-12-01": world.pairs(1)})
    lake.make("song_factors", "2026-11-30")
    lake.make("song_factors", "2026-12-01")
    assert lake.made["song_factors", "2026-12-01"].figures["trained_from"] == "scratch, as on each first of a month"


def test_a_damaged_yesterday_is_named_and_the_model_begins_from_scratch() -> None:
    lake = lake_of_world(planted_world(users=30, songs=40))
    lake.make("song_factors", _DAYS[0])
    lake.make("song_factors", _DAYS[1], is_damaged=True)
    figures = lake.made["song_factors", _DAYS[1]].figures
    assert figures["trained_from"] == "scratch, for the day before cannot be read: its file is cut short"
    assert figures["iterations"] == _PARAMETERS.iterations


def test_a_day_without_plays_and_the_days_after_it() -> None:
    world = planted_world(users=60, songs=60)
    lake = lake_of({_DAYS[0]: pairs_of(), _DAYS[1]: world.pairs(1), _DAYS[2]: world.pairs(1), _DAYS[3]: world.pairs(3)})
    for day in _DAYS[:4]:
        lake.make_all(day)
    assert all(not lake.rows[name, _DAYS[0]].num_rows for name in _ORDER)
    assert lake.rows["recommendations", _DAYS[1]].num_rows
    assert not lake.rows["evaluation", _DAYS[2]].num_rows
    assert lake.rows["evaluation", _DAYS[3]].num_rows == 3


def test_a_single_listener_and_one_who_played_everything() -> None:
    alone = pairs_of((1, 1, 1.0, 0), (1, 2, 1.0, 0))
    everything = pairs_of(*((1, song, 1.0, 0) for song in (1, 2, 3)), (2, 1, 1.0, 0), (3, 2, 1.0, 0), (3, 3, 2.0, 0))
    lake = lake_of({_DAYS[0]: alone, _DAYS[1]: everything, _DAYS[2]: everything})
    for day in _DAYS[:3]:
        lake.make_all(day)
    assert not lake.rows["recommendations", _DAYS[0]].num_rows  # no song has two listeners
    assert {user: len(songs) for user, songs in lake.lists(_DAYS[1]).items()} == {f"{2:016x}": 2, f"{3:016x}": 1}
    assert not lake.rows["similar_songs", _DAYS[0]].num_rows


def test_who_did_not_listen_for_thirty_days_has_no_list() -> None:
    pairs = pairs_of(
        (1, 1, 0.5, -30), (1, 2, 0.5, -29), (2, 1, 0.5, -30), (3, 2, 1.0, 0), (3, 3, 1.0, 0), (4, 3, 1.0, 0)
    )
    lake = lake_of({_DAYS[0]: pairs})
    lake.make("song_factors", _DAYS[0])
    lake.make("blend_weights", _DAYS[0])
    lake.make("recommendations", _DAYS[0])
    assert set(lake.lists(_DAYS[0])) == {f"{user:016x}" for user in (1, 3, 4)}


def test_ten_times_the_listeners_from_one_day_to_the_next() -> None:
    few, many = planted_world(users=30, songs=200), planted_world(users=300, songs=200, seed=9)
    lake = lake_of({_DAYS[0]: few.pairs(0), _DAYS[1]: many.pairs(1)})
    lake.make_all(_DAYS[0])
    lake.make_all(_DAYS[1])
    assert str(lake.made["song_factors", _DAYS[1]].figures["trained_from"]).startswith("scratch")
    assert len(lake.lists(_DAYS[1])) == 300


def test_a_machine_that_is_too_small_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_of_world(planted_world(users=30, songs=40))
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    with pytest.raises(
        MemoryTooSmallError, match=rf"recommendations/song_factors partition {_DAYS[0]} is made of \d+ pairs"
    ):
        lake.make("song_factors", _DAYS[0])


def test_rebuilt_days_in_another_order_have_lists_as_good() -> None:
    """A late event changes an early day; the days after it are made again, each from the one before."""
    world = planted_world(users=400, songs=300)
    late = planted_world(users=400, songs=300)
    late.day[:8] = 1  # plays of the first day that come late: on the second they are known
    lake, rebuilt = lake_of_world(world), lake_of_world(late)
    for day in _DAYS:
        lake.make_all(day)
        rebuilt.make_all(day)
    rebuilt.rows.update({key: rows for key, rows in lake.rows.items() if key[0] in ("interactions", "titles")})
    for day in _DAYS[1:]:
        rebuilt.make_all(day)
    same = [
        len(set(songs[:10]) & set(rebuilt.lists(_DAYS[-1])[user][:10])) / 10
        for user, songs in lake.lists(_DAYS[-1]).items()
    ]
    assert sum(same) / len(same) > 0.9
    qualities = [evaluated(some, _DAYS[-1])["served"]["ndcg_at_10"] for some in (lake, rebuilt)]
    assert qualities[1] == pytest.approx(qualities[0], rel=0.05)


def test_no_song_without_two_listeners_is_offered(planted: Lake) -> None:
    songs = planted.rows["song_factors", _DAYS[0]]
    offered = set(songs.filter(songs["is_offered"])["song_key"].to_pylist())
    listeners = (
        planted.rows["interactions", _DAYS[0]].group_by("song_key").aggregate([("user_key", "count")]).to_pylist()
    )
    assert offered == {row["song_key"] for row in listeners if row["user_key_count"] >= 2}
    assert {song for songs_ in planted.lists(_DAYS[0]).values() for song in songs_} <= offered
    assert len(numbers_of_keys(songs["song_key"].combine_chunks(), "song_key")) == songs.num_rows


def test_who_had_no_song_left_and_so_no_list_is_not_judged() -> None:
    everything = [(1, 1, 1.0, 0), (1, 2, 1.0, 0), (2, 1, 1.0, 0), (2, 2, 1.0, 0), (3, 1, 1.0, 0)]
    new = [(user, 9, 1.0, 1) for user in (1, 2, 3)]
    lake = lake_of({_DAYS[0]: pairs_of(*everything), _DAYS[1]: pairs_of(*everything, *new)})
    lake.make_all(_DAYS[0])
    lake.make_all(_DAYS[1])
    assert set(lake.lists(_DAYS[0])) == {f"{3:016x}"}
    assert [row["judged_listeners"] for row in lake.rows["evaluation", _DAYS[1]].to_pylist()] == [1, 1, 1]
    assert set(lake.rows["blend_weights", _DAYS[1]]["judged_listeners"].to_pylist()) == {1}
