"""Songs and artists: plays find the tracks of the catalogue, add up over the days, and none is dropped."""

from __future__ import annotations

import lzma
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import UNKNOWN
from music_platform.tables.gold.dim_artists import DIM_ARTISTS, dim_artists
from music_platform.tables.gold.dim_songs import DIM_SONGS, dim_songs
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.catalogue_seed import CATALOGUE_SCHEMA, catalogue_tracks, parse_catalogue
from music_platform.tables.transforms.keys import UNKNOWN_KEY, artist_key, song_key
from music_platform_tests.unit.tables.dimension_frames import (
    FIRST_DAY,
    ONE_DAY,
    Row,
    day_of,
    frame_of,
    frames_of,
    key_of,
    make_event,
    real_silver,
    table_of,
)


def catalogue_of(spark: SparkSession, *tracks: Row) -> DataFrame:
    rows = [
        {"duration": "200.0", "year": "0", "artist_latitude": "0.0", "artist_longitude": "0.0"} | track
        for track in tracks
    ]
    return spark.createDataFrame(pa.Table.from_pylist(rows, CATALOGUE_SCHEMA))


def track(artist: str, title: str, duration: float, track_id: str, **others: str) -> Row:
    return {"artist_name": artist, "title": title, "duration": str(duration), "track_id": track_id} | others


def play(number: int, artist: str, song: str, duration: float, event_time: datetime = FIRST_DAY) -> Row:
    return make_event("listen_events", event_time, number, artist=artist, song=song, duration_seconds=duration)


def songs_of(
    spark: SparkSession,
    plays: Sequence[Row],
    catalogue: DataFrame | None,
    previous: pa.Table | None = None,
    day: datetime = FIRST_DAY,
) -> pa.Table:
    before = None if previous is None else frame_of(spark, DIM_SONGS.columns, previous)
    return table_of(dim_songs(before, frames_of(spark, plays)["listen_events"], catalogue, key_of(day)), DIM_SONGS)


def artists_of(
    spark: SparkSession,
    plays: Sequence[Row],
    catalogue: DataFrame | None,
    previous: pa.Table | None = None,
    day: datetime = FIRST_DAY,
) -> pa.Table:
    before = None if previous is None else frame_of(spark, DIM_ARTISTS.columns, previous)
    return table_of(dim_artists(before, frames_of(spark, plays)["listen_events"], catalogue, key_of(day)), DIM_ARTISTS)


def keys_of_plays(spark: SparkSession, plays: Sequence[Row]) -> list[Row]:
    """The keys that facts compute for plays."""
    return (
        frames_of(spark, plays)["listen_events"]
        .select(
            song_key(F.col("artist"), F.col("song"), F.col("duration_seconds")).alias("song_key"),
            artist_key(F.col("artist")).alias("artist_key"),
            "event_id",
        )
        .toArrow()
        .to_pylist()
    )


def test_a_played_song_is_the_track_of_the_nearest_length(spark: SparkSession) -> None:
    catalogue = catalogue_of(
        spark,
        track("Eminem", "The Way I Am", 289.30567, "TRA"),
        track("Eminem", "The Way I Am", 291.10812, "TRB", release="The Marshall Mathers LP", year="2000"),
        track("Eminem", "The Way I Am", 292.0, "TRC"),
        track("Eminem", "Stan", 404.0, "TRD"),
    )
    plays = [
        play(1, "Eminem", "The Way I Am", 291.10812),  # TRB to the millisecond
        play(2, "Eminem", "The Way I Am", 291.4),  # TRB by 0.3 s, TRC by 0.6 s
        play(3, "Eminem", "The Way I Am", 293.0),  # TRC by just one second
        play(4, "Eminem", "The Way I Am", 293.001),  # none
        play(5, "Eminem", "Stan!", 404.0),  # none
        play(6, "Dido", "Stan", 404.0),  # none
    ]
    rows = songs_of(spark, plays, catalogue).to_pylist()
    by_key = {row["song_key"]: row for row in rows}
    keys = {int(row["event_id"], 16): row for row in keys_of_plays(spark, plays)}
    assert {number: by_key[key["song_key"]]["track_id"] for number, key in keys.items()} == {
        1: "TRB", 2: "TRB", 3: "TRC", 4: None, 5: None, 6: None,
    }  # fmt: skip
    assert all(by_key[key["song_key"]]["artist_key"] == key["artist_key"] for key in keys.values())
    first = by_key[keys[1]["song_key"]]
    assert (first["release"], first["year"], first["is_in_catalogue"], first["plays"]) == (
        "The Marshall Mathers LP",
        2000,
        True,
        1,
    )
    assert by_key[keys[2]["song_key"]]["duration_seconds"] == 291.4
    unplayed = [row for row in rows if row["plays"] == 0 and row["is_in_catalogue"]]
    assert {row["track_id"] for row in unplayed} == {"TRA", "TRD"}
    assert {(row["first_played_at"], row["year"], row["release"]) for row in unplayed} == {(None, None, None)}
    assert len(rows) == len(plays) + len(unplayed) + 1


def test_equally_near_tracks_are_reported_apart_by_track_id(spark: SparkSession) -> None:
    catalogue = catalogue_of(
        spark,
        track("A", "Song", 101.0, "TRB"),
        track("A", "Song", 100.0, "TRC"),
        track("B", "Song", 100.0, "TRZ", release="A"),
        track("B", "Song", 100.0001, "TRY", release="B"),  # the same to the millisecond: one song
    )
    rows = songs_of(spark, [play(1, "A", "Song", 100.5)], catalogue).to_pylist()
    assert {row["track_id"]: row["plays"] for row in rows} == {"TRB": 1, "TRC": 0, "TRY": 0, None: 0}


def test_texts_of_the_catalogue_are_repaired_as_those_of_events_are(spark: SparkSession) -> None:
    catalogue = catalogue_of(
        spark,
        track("Lefèvre", 'Say "yes"', 100.0, "TRA"),
        track("Lef\u00c3\u00a8vre", '"Say \\"no\\""', 100.0, "TRB"),
        track("Ladytron", "It\u0019s", 100.0, "TRC"),
    )
    plays = [
        play(1, "Lefèvre", 'Say "yes"', 100.0), play(2, "Lefèvre", 'Say "no"', 100.0), play(3, "Ladytron", "It's", 100.0),
    ]  # fmt: skip
    rows = songs_of(spark, plays, catalogue).to_pylist()
    assert {row["track_id"]: row["plays"] for row in rows} == {"TRA": 1, "TRB": 1, "TRC": 1, None: 0}


def test_plays_add_up_over_the_days_and_the_catalogue_is_the_present_one(spark: SparkSession) -> None:
    second_day = FIRST_DAY + ONE_DAY
    first_plays = [
        play(number, "Pixies", "Debaser", 171.59791, FIRST_DAY + timedelta(hours=number)) for number in (2, 1)
    ]
    second_plays = [play(3, "Pixies", "Debaser", 171.5979, second_day), play(4, "Pixies", "Tame", 116.0, second_day)]
    catalogue = catalogue_of(
        spark, track("Pixies", "Debaser", 171.59791, "TRA"), track("Pixies", "Gouge Away", 165.0, "TRB")
    )

    first = songs_of(spark, first_plays, None)
    second = songs_of(spark, second_plays, catalogue, first, second_day)
    third = songs_of(spark, [], None, second, second_day + ONE_DAY)

    [debaser] = [row for row in first.to_pylist() if row["title"] == "Debaser"]
    assert (debaser["plays"], debaser["is_in_catalogue"], debaser["track_id"]) == (2, False, None)
    by_title = {row["title"]: row for row in second.to_pylist()}
    assert by_title.keys() == {"Debaser", "Tame", "Gouge Away", UNKNOWN}
    debaser = by_title["Debaser"]
    assert (debaser["plays"], debaser["is_in_catalogue"], debaser["track_id"]) == (3, True, "TRA")
    assert (debaser["first_played_at"], debaser["last_played_at"]) == (FIRST_DAY + timedelta(hours=1), second_day)
    assert debaser["duration_seconds"] == 171.5979
    assert {row["title"]: row["track_id"] for row in third.to_pylist()} == {
        "Debaser": None,
        "Tame": None,
        UNKNOWN: None,
    }
    rebuilt = songs_of(spark, second_plays[::-1], catalogue, songs_of(spark, first_plays[::-1], catalogue), second_day)
    assert rebuilt == second


def test_the_unknown_song_and_artist_have_a_row(spark: SparkSession) -> None:
    [song] = songs_of(spark, [], None).to_pylist()
    assert song == {
        "song_key": UNKNOWN_KEY, "artist_key": UNKNOWN_KEY, "title": UNKNOWN, "artist": UNKNOWN, "duration_seconds": None,
        "track_id": None, "release": None, "year": None, "is_in_catalogue": False, "first_played_at": None,
        "last_played_at": None, "plays": 0, "day": FIRST_DAY,
    }  # fmt: skip
    [artist] = artists_of(spark, [], None).to_pylist()
    assert (artist["artist_key"], artist["artist"], artist["artist_id"], artist["plays"]) == (
        UNKNOWN_KEY,
        UNKNOWN,
        None,
        0,
    )
    named_so = songs_of(spark, [play(1, UNKNOWN, UNKNOWN, 1.0)], None).to_pylist()
    assert {row["plays"] for row in named_so} == {0, 1}


def test_a_catalogue_of_few_columns_is_enough(spark: SparkSession) -> None:
    given = catalogue_of(
        spark, track("Pixies", "Debaser", 171.0, "TRA"), {"artist_name": "Pixies", "title": "Tame", "duration": ""}
    )
    songs = songs_of(spark, [], given.select("title", "artist_name", "duration")).to_pylist()
    assert {(row["title"], row["duration_seconds"], row["is_in_catalogue"], row["track_id"]) for row in songs} == {
        ("Debaser", 171.0, True, None), ("Tame", None, True, None), (UNKNOWN, None, False, None),
    }  # fmt: skip


def test_artists_are_described_by_the_catalogue(spark: SparkSession) -> None:
    catalogue = catalogue_of(
        spark,
        track("Pixies", "Debaser", 171.0, "TRA", artist_id="AR1"),
        track("Pixies", "Tame", 116.0, "TRB", artist_id="AR3", artist_location="Boston, MA"),
        track("Pixies", "Hey", 211.0, "TRC", artist_id="AR4", artist_location="Boston", artist_latitude="42.36",
              artist_longitude="-71.06"),
        track("Pixies", "No", 211.0, "TRD", artist_id="AR5", artist_location="Nowhere", artist_latitude="4e9",
              artist_longitude="nan"),
        track("Lefèvre", "Soul Coaxing", 200.0, "TRE", artist_id="AR6", artist_latitude="0.0", artist_longitude="2.35"),
    )  # fmt: skip
    second_day = FIRST_DAY + ONE_DAY
    first = artists_of(spark, [play(1, "Pixies", "Debaser", 171.0), play(2, "Dido", "Stan", 404.0)], catalogue)
    plays = [play(3, "Pixies", "Anything", 1.0, second_day)]
    second = artists_of(spark, plays, catalogue, first, second_day).to_pylist()
    by_name = {row["artist"]: row for row in second}
    assert by_name.keys() == {"Pixies", "Dido", "Lefèvre", UNKNOWN}
    [key] = {row["artist_key"] for row in keys_of_plays(spark, plays)}
    assert by_name["Pixies"] == {
        "artist_key": key, "artist": "Pixies", "artist_id": "AR4", "location": "Boston", "latitude": 42.36,
        "longitude": -71.06, "is_in_catalogue": True, "first_played_at": FIRST_DAY, "last_played_at": second_day, "plays": 2,
        "day": second_day,
    }  # fmt: skip
    assert (by_name["Dido"]["is_in_catalogue"], by_name["Dido"]["artist_id"], by_name["Dido"]["plays"]) == (
        False,
        None,
        1,
    )
    lefevre = by_name["Lefèvre"]
    assert (lefevre["location"], lefevre["latitude"], lefevre["longitude"]) == (None, 0.0, 2.35)
    assert (lefevre["plays"], lefevre["first_played_at"]) == (0, None)


def test_tracks_without_a_title_or_an_artist_are_left_out(spark: SparkSession) -> None:
    text = (
        'artist_name,title,duration,release\nA,"""""",1,r\n\u3000,b,1,r\nA,,1,r\n,b,1,r\nA,'
        + "x" * 1_001
        + ",1,r\nA,b,1,\u00a0\n"
    )
    tracks = catalogue_tracks(spark.createDataFrame(parse_catalogue(text, "songs"))).toArrow().to_pylist()
    assert [(track["artist"], track["title"], track["release"]) for track in tracks] == [("A", "b", None)]


def test_real_plays_find_their_tracks(spark: SparkSession, sample_folder: Path) -> None:
    with lzma.open(sample_folder / "eventsim" / "songs.csv.xz") as file:
        seed = parse_catalogue(file.read().decode("utf-8"), "songs.csv.xz")
    catalogue = spark.createDataFrame(seed)
    listens = real_silver(spark, sample_folder, "listen_events")
    frame = frame_of(spark, SILVER["listen_events"].columns, listens)
    last_day = day_of(max(listens.column("event_time").to_pylist()))
    rows = table_of(dim_songs(None, frame, catalogue, key_of(last_day)), DIM_SONGS).to_pylist()
    by_key = {row["song_key"]: row for row in rows}
    key = song_key(F.col("artist"), F.col("song"), F.col("duration_seconds")).alias("song_key")
    events = frame.select(key, "artist", "song", "duration_seconds").toArrow().to_pylist()

    assert Counter(event["song_key"] for event in events) == {
        key: row["plays"] for key, row in by_key.items() if row["plays"]
    }
    matched = sum(row["plays"] for row in rows if row["is_in_catalogue"])
    assert matched / len(events) > 0.998
    tracks = Counter(row["track_id"] for row in rows if row["track_id"])
    assert set(tracks.values()) == {1}
    known = {row["track_id"] for row in seed.to_pylist()}
    # Two tracks agree in artist, title and length; the title of another is a pair of quotes.
    assert len(known - tracks.keys()) == 2
    assert tracks.keys() <= known

    by_name: defaultdict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for row in catalogue_tracks(catalogue).toArrow().to_pylist():
        by_name[row["artist"], row["title"]].append((row["duration_seconds"], row["track_id"]))
    ambiguous = 0
    for event in events:
        near = sorted(
            (abs(duration - event["duration_seconds"]), track_id)
            for duration, track_id in by_name[event["artist"], event["song"]]
            if abs(duration - event["duration_seconds"]) <= 1
        )
        assert by_key[event["song_key"]]["track_id"] == (near[0][1] if near else None)
        ambiguous += len(by_name[event["artist"], event["song"]]) > 1
    assert ambiguous > 100

    artists = table_of(dim_artists(None, frame, catalogue, key_of(last_day)), DIM_ARTISTS).to_pylist()
    assert sum(row["plays"] for row in artists) == len(events)
    assert {row["artist_key"] for row in rows} == {row["artist_key"] for row in artists}
    assert len({row["artist"] for row in artists}) == len(artists)
