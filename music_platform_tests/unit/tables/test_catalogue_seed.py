"""The catalogue's CSV text: both ways of escaping quotes, line breaks in texts, and what is wrong named with its line."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from music_platform.errors import MusicPlatformError
from music_platform.tables.transforms.catalogue_seed import CATALOGUE_SCHEMA, parse_catalogue

HEADER = "artist_name,title,duration,track_id,danceability\n"


def test_texts_are_read_as_they_are() -> None:
    table = parse_catalogue(
        f'\ufeff{HEADER}Björk,"Say \\"yes\\"",1.5,TRA,0\nA,"Say ""no""",,TRB,0\n"a\u0085b, c","x\ny",2,,0\n', "songs"
    )
    assert table.schema == CATALOGUE_SCHEMA
    assert table.select(["artist_name", "title", "duration", "track_id", "release"]).to_pylist() == [
        {"artist_name": "Björk", "title": 'Say "yes"', "duration": "1.5", "track_id": "TRA", "release": None},
        {"artist_name": "A", "title": 'Say "no"', "duration": "", "track_id": "TRB", "release": None},
        {"artist_name": "a\u0085b, c", "title": "x\ny", "duration": "2", "track_id": "", "release": None},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the song catalogue songs has no column artist_name, title, duration; it needs"),
        ("artist_name,duration\n", "has no column title"),
        (f"{HEADER}a,b,1\nc\n", "in line 3 of the song catalogue songs the column title is missing"),
        (f"{HEADER}a,b,long\n", "in line 2 of the song catalogue songs duration must be a number, not 'long'"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(MusicPlatformError, match=message):
        parse_catalogue(text, "songs")


def test_the_real_catalogue(sample_folder: Path) -> None:
    with lzma.open(sample_folder / "eventsim" / "songs.csv.xz") as file:
        table = parse_catalogue(file.read().decode("utf-8"), "songs")
    assert table.num_rows == 10_000
    assert all(len(track_id) == 18 for track_id in table.column("track_id").to_pylist())
