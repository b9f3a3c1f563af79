"""Song catalogues: read from CSV and generated."""

import gzip
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_platform.eventsim.catalogue import garbled, generated_catalogue, parse_catalogue, read_catalogue
from music_platform.eventsim.errors import CatalogueError
from music_platform_tests.places import SAMPLE_FOLDER

_CSV = 'artist_name,title,duration,year\r\nBjörk,Jóga,305.1,1997\r\nA,"B (12\\" Mix), C",200.5,0\r\nD,,,\r\n'


@pytest.mark.parametrize(("suffix", "compress"), [("csv", bytes), ("csv.gz", gzip.compress), ("csv.xz", lzma.compress)])
def test_a_catalogue_is_read_with_its_text_as_it_is(tmp_path: Path, suffix: str, compress: Any) -> None:
    path = tmp_path / f"songs.{suffix}"
    path.write_bytes(compress(_CSV.encode()))
    songs = read_catalogue(path, keep_text=True)
    assert list(songs.artists) == ["Björk", "A", "D"]
    assert list(songs.titles) == ["Jóga", 'B (12" Mix), C', ""]
    assert songs.durations.tolist() == [np.float32(305.1), np.float32(200.5), 180.0]


def test_text_is_garbled_as_eventsim_garbles_it() -> None:
    songs = parse_catalogue(_CSV, "test.csv")
    assert list(songs.artists) == ["BjÃ¶rk", "A", "D"]
    assert songs.titles[1] == '"B (12\\" Mix), C"'


@given(st.text())
def test_garbled_text_can_be_repaired(text: str) -> None:
    repairable = garbled(text.replace('"', ""))
    assert repairable.encode("latin-1").decode() == text.replace('"', "").encode("utf-8", "replace").decode()


def test_plays_are_weights() -> None:
    songs = parse_catalogue("artist_name,title,duration,plays\nA,B,1,0\nC,D,2,5\n", "test.csv")
    assert songs.popularity.draw(np.array([0, 2**31, 2**32 - 1], dtype=np.uint64)).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column artist_name, title, duration"),
        ("artist_name,title\nA,B\n", "has no column duration"),
        ("artist_name,title,duration\n", "holds no song"),
        ("artist_name,title,duration\nA,B,long\n", "line 2 .* duration must be a number"),
        ("artist_name,title,duration\nA,B,-1\n", "line 2 .* duration must be a number"),
        ("artist_name,title,duration\nA\n", "line 2 .* title is missing"),
        ("artist_name,title,duration,plays\nA,B,1,0\n", "above 0"),
    ],
)
def test_a_catalogue_at_fault_is_named(text: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        parse_catalogue(text, "test.csv")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"nowhere\.csv: No such file"):
        read_catalogue(tmp_path / "nowhere.csv")
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(b"\x1f\x8bbroken")
    with pytest.raises(CatalogueError, match="compression is broken"):
        read_catalogue(broken)


def test_the_million_song_subset_is_read_whole() -> None:
    songs = read_catalogue(SAMPLE_FOLDER / "eventsim" / "songs.csv.xz")
    assert len(songs) == 10_000
    assert float(songs.durations.min()) == pytest.approx(1.04444)
    assert '"Boom-Shack-A-Lack (12\\" Mmix / Bonus Tra)"' in songs.titles


def test_the_generated_catalogue_is_plausible_and_always_the_same() -> None:
    songs, shorter = generated_catalogue(3_000), generated_catalogue(1_000)
    assert len(set(zip(songs.artists, songs.titles, strict=True))) == 3_000
    assert list(songs.titles[:1_000]) == list(shorter.titles)
    assert 30 <= songs.durations.min() < songs.durations.mean() < 300 < songs.durations.max() <= 1_200
    plays = np.sort(np.bincount(songs.popularity.draw(np.arange(0, 2**32, 2**15, dtype=np.uint64)), minlength=3_000))
    assert plays[-300:].sum() > 0.3 * plays.sum()
    assert plays[0] > 0
