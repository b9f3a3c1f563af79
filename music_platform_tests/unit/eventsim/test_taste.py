"""Planted taste: the same for the same seed, kept within sessions, repeated, skipped outside of it, popularity unchanged."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from music_platform.eventsim import GeneratorError, GeneratorOptions, generate_files
from music_platform.eventsim.catalogue import generated_catalogue, parse_catalogue
from music_platform.eventsim.generator import Run
from music_platform.eventsim.options import make_plan
from music_platform.eventsim.randomness import FloatArray, IntegerArray
from music_platform.eventsim.scenes import SCENES, Scenes
from music_platform.eventsim.song_choice import SongsByTaste
from music_platform.eventsim.tastes import Tastes, TasteStrength
from music_platform_tests.planted_taste import Truth

_START = datetime(2026, 11, 2, tzinfo=UTC)
_OPTIONS = GeneratorOptions(users=3_000, start=_START, days=20, seed=11, taste=1.0)


@dataclass(frozen=True)
class _Plays:
    """Plays in order of session and item. ``heard``: seconds until the next song of the session, -1 where none follows
    at once."""

    user: IntegerArray
    session: IntegerArray
    song: IntegerArray
    seconds: IntegerArray
    heard: IntegerArray


def _plays(run: Run) -> _Plays:
    batch = run.simulation.advance(run.end)
    songs = np.array([state.page == "NextSong" for state in run.simulation.machine.states])
    order = np.lexsort((batch.item, batch.session))
    is_play = songs[batch.state[order]]
    session, ts = batch.session[order], batch.ts[order]
    follows = np.append(is_play[1:] & (session[1:] == session[:-1]), False)
    heard = np.where(follows, np.append(np.diff(ts), 0), -1)
    song = batch.song[order][is_play]
    seconds = np.floor(run.plan.catalogue.durations).astype(np.int64)[song]
    return _Plays(batch.user[order][is_play], session[is_play], song, seconds, heard[is_play])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("truth")


@pytest.fixture(scope="module")
def plays(folder: Path) -> _Plays:
    run = Run(make_plan(replace(_OPTIONS, truth=folder)))
    run.write_truth()
    return _plays(run)


@pytest.fixture(scope="module")
def truth(folder: Path, plays: _Plays) -> Truth:
    return Truth.read(folder)


@pytest.fixture(scope="module")
def plain() -> _Plays:
    return _plays(Run(make_plan(replace(_OPTIONS, taste=0.0))))


def _home(truth: Truth) -> IntegerArray:
    return truth.songs["home_scene"].to_numpy()


def _likes(truth: Truth, plays: _Plays) -> npt.NDArray[np.bool_]:
    liked = truth.scene_weights > 0
    home, second = _home(truth)[plays.song], truth.songs["second_scene"].to_numpy()[plays.song]
    return liked[plays.user, home] | liked[plays.user, second]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("page_views_at_once", [200, 7_000, 10_000_000])
def test_chunks_do_not_change_a_byte(tmp_path: Path, page_views_at_once: int) -> None:
    options = replace(_OPTIONS, users=100, growth_rate=20.0, days=5, truth=tmp_path / "truth")
    generate_files(options, tmp_path / "expected")
    generate_files(
        replace(options, truth=tmp_path / "again"), tmp_path / "found", page_views_at_once=page_views_at_once
    )
    assert _bytes(tmp_path / "found") == _bytes(tmp_path / "expected")
    assert _bytes(tmp_path / "again") == _bytes(tmp_path / "truth")


def test_a_listener_hears_the_same_whoever_else_listens() -> None:
    few, many = (SongsByTaste(generated_catalogue(), 5, users, TasteStrength(1.0)) for users in (10, 1_000))
    counters = (np.arange(10, dtype=np.uint64) << np.uint64(32)) + np.uint64(77)
    halves = np.arange(10, dtype=np.uint64) * np.uint64(2**28)
    for songs in (few, many):
        songs.begin_sessions(counters)
    assert [found.tolist() for found in few.choose(counters, halves)] == [
        found.tolist() for found in many.choose(counters, halves)
    ]


def test_a_seed_makes_the_tastes_and_the_catalogue_the_scenes(truth: Truth, tmp_path: Path) -> None:
    Run(make_plan(replace(_OPTIONS, seed=12, truth=tmp_path))).write_truth()
    other = Truth.read(tmp_path)
    assert other.songs.equals(truth.songs)
    assert not np.array_equal(other.scene_weights, truth.scene_weights)
    assert not np.array_equal(other.library, truth.library)


def _share_of_equal_scenes(truth: Truth, one: IntegerArray, other: IntegerArray) -> float:
    home = _home(truth)
    return float((home[one] == home[other]).mean())


def test_a_session_keeps_a_scene(plays: _Plays, plain: _Plays, truth: Truth) -> None:
    def of_pairs(found: _Plays) -> list[float]:
        same_session = found.session[1:] == found.session[:-1]
        same_listener = (found.user[1:] == found.user[:-1]) & ~same_session
        # Sessions are in order of opening, so neighbours hardly ever belong to one listener: take those that are sorted.
        by_user = np.lexsort((found.session, found.user))
        user, session, song = found.user[by_user], found.session[by_user], found.song[by_user]
        turn = (user[1:] == user[:-1]) & (session[1:] != session[:-1])
        pairs = [
            (found.song[1:][same_session], found.song[:-1][same_session]),
            (song[1:][turn], song[:-1][turn]),
            (found.song[1:][~same_session & ~same_listener], found.song[:-1][~same_session & ~same_listener]),
        ]
        return [_share_of_equal_scenes(truth, one, other) for one, other in pairs]

    in_session, of_listener, of_strangers = of_pairs(plays)
    assert in_session > 0.25
    assert of_strangers < of_listener - 0.05 < in_session - 0.1
    assert of_strangers < 0.03
    assert max(of_pairs(plain)) < 0.03


def test_a_library_is_repeated(plays: _Plays, plain: _Plays, truth: Truth) -> None:
    users, songs = truth.user_ids.size, truth.popularity.size
    owned = np.zeros((users, songs), dtype=np.bool_)
    owned[np.arange(users)[:, None], truth.library] = True
    listeners = np.unique(plays.user)
    expected = np.zeros(users)
    for first in range(0, listeners.size, 500):
        some = listeners[first : first + 500]
        expected[some] = (truth.probabilities(some) * owned[some]).sum(axis=1)
    found = owned[plays.user, plays.song].mean()
    assert found == pytest.approx(expected[plays.user].mean(), rel=0.03)
    assert found > truth.library_share

    def repeats(played: _Plays) -> float:
        pairs = np.unique(played.user * songs + played.song).size
        return 1.0 - pairs / played.song.size

    assert repeats(plays) > 3 * repeats(plain)


def test_songs_outside_of_the_taste_end_early_and_no_others(plays: _Plays, plain: _Plays, truth: Truth) -> None:
    goes_on, liked = plays.heard >= 0, _likes(truth, plays)
    is_skip = plays.heard < plays.seconds
    assert not is_skip[goes_on & liked].any()
    outside = goes_on & ~liked
    assert is_skip[outside].mean() == pytest.approx(0.6, abs=0.02)
    assert (plays.heard[outside] >= 1).all()
    # Only what is tried out can lie outside: a tenth of all plays, most of it.
    assert 0.07 < (~liked).mean() < 0.105
    assert (plain.heard[plain.heard >= 0] == plain.seconds[plain.heard >= 0]).all()


def _slope(counts: npt.NDArray, popularity: FloatArray) -> float:
    """The exponent of the power law that counts follow: by groups of songs of one rank, so that none is empty."""
    by_rank = counts[np.argsort(-popularity)]
    groups = np.array_split(by_rank, 50)
    ranks = [np.mean(np.arange(first, first + len(group)) + 21.0) for first, group in zip(
        np.cumsum([0, *map(len, groups[:-1])]), groups, strict=True
    )]  # fmt: skip
    return float(np.polyfit(np.log(ranks), np.log([group.mean() for group in groups]), 1)[0])


@pytest.mark.parametrize("taste", [0.4, 1.0, 3.0])
def test_total_popularity_stays_a_power_law(taste: float) -> None:
    catalogue = generated_catalogue()
    strength = TasteStrength(taste)
    listeners, draws = 40_000, 50
    songs = SongsByTaste(catalogue, 3, listeners, strength)
    counts = np.zeros(len(catalogue), dtype=np.int64)
    plain = counts.copy()
    users = np.arange(listeners, dtype=np.uint64) << np.uint64(32)
    random = np.random.default_rng(1)
    for draw in range(draws):
        counters = users + np.uint64(draw)
        songs.begin_sessions(counters)
        halves = random.integers(0, 2**32, listeners, dtype=np.uint64)
        counts += np.bincount(songs.choose(counters, halves)[0], minlength=counts.size)
        plain += np.bincount(catalogue.popularity.draw(halves), minlength=plain.size)
    share = catalogue.weights / catalogue.weights.sum()
    assert np.corrcoef(counts, share)[0, 1] > 0.995
    assert np.corrcoef(plain, share)[0, 1] > 0.995
    assert _slope(share, share) == pytest.approx(-0.8, abs=0.03)
    assert _slope(plain, share) == pytest.approx(_slope(share, share), abs=0.01)
    assert _slope(counts, share) == pytest.approx(_slope(share, share), abs=0.02)


def test_tastes_lie_around_popularity() -> None:
    """The mean of all tastes is the scenes' share of popularity: a listener's expected song is the plain one."""
    catalogue = generated_catalogue()
    scenes = Scenes.create(catalogue)
    tastes = Tastes(scenes, 2, 100_000, sharpness=1.0)
    mean = tastes.weights(np.arange(100_000)).mean(axis=0)
    size = np.bincount(scenes.home, catalogue.weights * (1 - scenes.second_share), SCENES)
    size += np.bincount(scenes.second, catalogue.weights * scenes.second_share, SCENES)
    assert mean == pytest.approx(size / size.sum(), rel=0.1)
    assert mean.sum() == pytest.approx(1.0)


def test_events_follow_the_truth(plays: _Plays, truth: Truth) -> None:
    """Of each listener's hundred most probable songs, as many plays as the truth says; of another's, far fewer."""
    count = np.bincount(plays.user, minlength=truth.user_ids.size)
    listeners = np.flatnonzero(count >= 50)
    assert listeners.size > 300
    probabilities = truth.probabilities(listeners)
    assert probabilities.sum(axis=1) == pytest.approx(1.0)
    top = np.argpartition(-probabilities, 100, axis=1)[:, :100]
    expected = np.take_along_axis(probabilities, top, axis=1).sum(axis=1) * count[listeners]
    played = np.zeros((listeners.size, truth.popularity.size), dtype=np.int64)
    position = np.full(truth.user_ids.size, -1)
    position[listeners] = np.arange(listeners.size)
    known = position[plays.user] >= 0
    np.add.at(played, (position[plays.user[known]], plays.song[known]), 1)
    hits = np.take_along_axis(played, top, axis=1).sum(axis=1)
    assert hits.sum() == pytest.approx(expected.sum(), rel=0.03)
    assert np.corrcoef(hits / count[listeners], expected / count[listeners])[0, 1] > 0.5
    of_others = np.take_along_axis(played, np.roll(top, 1, axis=0), axis=1).sum()
    assert of_others < hits.sum() / 3
    # Every song has a probability, for what is tried out can be any.
    assert (probabilities > 0).all()


def _quantiles(probabilities: FloatArray, songs: IntegerArray) -> FloatArray:
    """Where a song lies among all songs, the most probable first: even from 0 to 1 if it was drawn so. One a row."""
    own = probabilities[np.arange(songs.size), songs][:, None]
    before = np.where(probabilities > own, probabilities, 0.0).sum(axis=1)
    ties = np.where(probabilities == own, probabilities, 0.0).sum(axis=1)
    return before + ties * np.random.default_rng(1).random(songs.size)


def _chi_square(quantiles: FloatArray) -> float:
    """Of twenty equal groups; below 43.8 in 999 of 1,000 cases where the quantiles are even."""
    found = np.histogram(quantiles, 20, (0.0, 1.0))[0]
    expected = quantiles.size / 20
    return float(((found - expected) ** 2 / expected).sum())


def test_the_first_songs_of_sessions_have_the_probabilities_of_the_truth(plays: _Plays, truth: Truth) -> None:
    """These are independent of one another; later songs of a session depend on its scene."""
    first = np.flatnonzero(np.diff(plays.session, prepend=-1))[:3_000]
    user, song = plays.user[first], plays.song[first]
    parts = [slice(start, start + 500) for start in range(0, first.size, 500)]
    right = [_quantiles(truth.probabilities(user[part]), song[part]) for part in parts]
    assert _chi_square(np.concatenate(right)) < 43.8
    others = [_quantiles(truth.probabilities(np.roll(user[part], 1)), song[part]) for part in parts]
    assert _chi_square(np.concatenate(others)) > 500


def test_libraries_are_drawn_from_tastes(truth: Truth) -> None:
    """So what a listener has not played yet has the probability that the scenes alone give it."""
    shares = (truth.probabilities_by_taste(np.arange(500)) - truth.popularity_share * truth.popularity) / (
        truth.scene_share + truth.library_share
    )
    slots = [_quantiles(shares, truth.library[:500, slot]) for slot in range(0, 60, 6)]
    assert _chi_square(np.concatenate(slots)) < 43.8


def _discovery(scores: FloatArray, known: npt.NDArray[np.bool_], new: npt.NDArray[np.bool_]) -> float:
    """Mean NDCG@10 of lists of songs that their listeners do not know, by what they play for the first time."""
    judged = new.any(axis=1) & known.any(axis=1)
    order = np.argsort(-np.where(known, -np.inf, scores), axis=1, kind="stable")[judged, :10]
    gains = 1.0 / np.log2(np.arange(2, 12))
    found = (np.take_along_axis(new[judged], order, axis=1) * gains).sum(axis=1)
    return float((found / np.cumsum(gains)[np.minimum(new[judged].sum(axis=1), 10) - 1]).mean())


def test_three_days_of_a_thousand_listeners_hold_much_to_discover(tmp_path: Path) -> None:
    """Of the demo's size and strength: who knows the tastes beats popularity six times over on the third day."""
    run = Run(make_plan(replace(_OPTIONS, users=1_000, days=3, taste=3.0, truth=tmp_path)))
    run.write_truth()
    shape = (run.listeners, len(run.plan.catalogue))
    counts = [np.zeros(shape, dtype=np.int64) for _ in range(2)]
    songs = np.array([state.page == "NextSong" for state in run.simulation.machine.states])
    for day, until in enumerate((run.end - 86_400, run.end)):
        batch = run.simulation.advance(until)
        is_play = songs[batch.state]
        np.add.at(counts[day], (batch.user[is_play], batch.song[is_play]), 1)
    known, new = counts[0] > 0, (counts[1] > 0) & (counts[0] == 0)
    popularity = _discovery(np.broadcast_to(counts[0].sum(axis=0), shape).astype(np.float64), known, new)
    oracle = _discovery(Truth.read(tmp_path).probabilities_by_taste(np.arange(run.listeners)), known, new)
    assert 0.005 < popularity < 0.04
    assert oracle > 6 * popularity


def test_weak_taste_leaves_most_plays_to_popularity() -> None:
    for strength in (0.0, 0.01, 0.5, 1.0, 7.0):
        shares = TasteStrength(strength)
        assert shares.library_share + shares.scene_share + shares.popularity_share == pytest.approx(1.0)
    assert TasteStrength(0.0).popularity_share == 1.0
    assert TasteStrength(0.5).popularity_share == pytest.approx((1.0 + TasteStrength(1.0).popularity_share) / 2)


def test_sharper_taste_is_for_fewer_scenes() -> None:
    scenes = Scenes.create(generated_catalogue())
    largest = [
        Tastes(scenes, 1, 2_000, TasteStrength(strength).sharpness).weights(np.arange(2_000)).max(axis=1).mean()
        for strength in (1.0, 3.0, 100.0)
    ]
    assert largest == sorted(largest)
    assert largest[0] < 0.5 < largest[1] < 0.95 < largest[2]


@pytest.mark.parametrize(
    "rows",
    ["A,one,100.0,1\n", "A,one,100.0,0\nB,two,0.0,5\nA,three,1.5,1\n"],
    ids=["a single song", "songs of no plays, no length"],
)
def test_small_catalogues_have_tastes_too(rows: str, tmp_path: Path) -> None:
    path = tmp_path / "songs.csv"
    path.write_text("artist_name,title,duration,plays\n" + rows)
    options = replace(_OPTIONS, users=200, days=5, songs=path, truth=tmp_path / "truth")
    run = Run(make_plan(options))
    run.write_truth()
    played = _plays(run)
    weights = run.plan.catalogue.weights
    assert (np.bincount(played.song, minlength=weights.size) > 0).tolist() == (weights > 0).tolist()
    assert Truth.read(tmp_path / "truth").probabilities(np.arange(200)).sum(axis=1) == pytest.approx(1.0)


def test_scenes_do_not_depend_on_how_text_is_kept() -> None:
    text = 'artist_name,title,duration\nBjörk,Jóga,305\n"A ""B""",C,200\n'
    kept, garbled = (Scenes.create(parse_catalogue(text, "test.csv", keep)) for keep in (True, False))
    assert kept.home.tolist() == garbled.home.tolist()


def test_the_truth_names_songs_and_listeners_as_events_do(tmp_path: Path) -> None:
    options = replace(_OPTIONS, users=30, days=3, first_user_id=500, truth=tmp_path / "truth")
    generate_files(options, tmp_path / "events")
    truth = Truth.read(tmp_path / "truth")
    assert truth.user_ids.tolist() == list(range(500, 530))
    lines = (tmp_path / "events" / "listen_events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    known = {tuple(song.values()) for song in truth.songs.select(["artist", "title", "duration"]).to_pylist()}
    assert {(event["artist"], event["song"], np.float32(event["duration"])) for event in events} <= known
    assert truth.popularity.sum() == pytest.approx(1.0)


def test_a_truth_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    options = replace(_OPTIONS, users=10, days=1, truth=tmp_path / "taken")
    with pytest.raises(GeneratorError, match=r"taken.*Check --truth"):
        generate_files(options, tmp_path / "events")


@pytest.mark.parametrize("taste", [-1.0, 101.0, float("nan"), float("inf")])
def test_a_taste_out_of_bounds_is_named(tmp_path: Path, taste: float) -> None:
    with pytest.raises(GeneratorError, match=r"from 0 to 100.*Check --taste"):
        generate_files(replace(_OPTIONS, taste=taste), tmp_path)


def test_a_truth_without_taste_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="--truth"):
        generate_files(replace(_OPTIONS, taste=0.0, truth=tmp_path), tmp_path)
    assert not list(tmp_path.iterdir())
