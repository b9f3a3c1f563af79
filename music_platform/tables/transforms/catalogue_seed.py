"""The given song catalogue: parses its CSV text and makes the tracks that dim_songs and dim_artists need.

Source of the columns: the Million Song Dataset's subset (http://millionsongdataset.com/pages/field-list/). Artist, title and
duration are required; the others can be absent.
"""

import csv
import io

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.errors import MusicPlatformError
from music_platform.tables.contract import is_visible
from music_platform.tables.events.fields import LONGEST_TITLE
from music_platform.tables.transforms.keys import artist_key, song_key
from music_platform.tables.transforms.text import repair_texts

REQUIRED_COLUMNS = ("artist_name", "title", "duration")
OPTIONAL_COLUMNS = (
    "track_id", "song_id", "release", "year", "artist_id", "artist_location", "artist_latitude", "artist_longitude",
)  # fmt: skip
CATALOGUE_SCHEMA = pa.schema([(name, pa.string()) for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)])

_TEXTS = ("artist_name", "title", "release", "artist_location")
_LONGEST_CELL_CHARACTERS = 10_000_000
_LATEST_YEAR = 9999
_LONGEST_DURATION_SECONDS = 86_400


def parse_catalogue(text: str, source: str) -> pa.Table:
    """The rows of a CSV text in CATALOGUE_SCHEMA; ``source`` is its name in errors.

    Quotes in it are escaped by doubling or by a backslash. Engines' own CSV readers differ about backslashes and about line
    breaks in texts (U+0085). Raises ``MusicPlatformError``.
    """
    csv.field_size_limit(_LONGEST_CELL_CHARACTERS)
    # Only an explicit newline setting leaves the line breaks in texts alone.
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), escapechar="\\")
    try:
        missing = [name for name in REQUIRED_COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise MusicPlatformError(
                f"the song catalogue {source} has no column {', '.join(missing)}; it needs {', '.join(REQUIRED_COLUMNS)}"
            )
        rows = [_checked(row, f"line {reader.line_num} of the song catalogue {source}") for row in reader]
    except csv.Error as error:
        raise MusicPlatformError(
            f"the song catalogue {source} is not CSV at line {reader.line_num}: {error}"
        ) from error
    return pa.Table.from_pylist(rows, CATALOGUE_SCHEMA)


def _checked(row: dict[str, str | None], where: str) -> dict[str, str | None]:
    for name in REQUIRED_COLUMNS:
        if row[name] is None:
            raise MusicPlatformError(f"in {where} the column {name} is missing")
    try:
        float(row["duration"] or 0)
    except ValueError:
        raise MusicPlatformError(f"in {where} duration must be a number, not {row['duration']!r}") from None
    return row


def catalogue_tracks(catalogue: DataFrame) -> DataFrame:
    """The catalogue's tracks: keys, repaired texts, typed values; unknown values are null.

    Of tracks with the same artist, title and length, and so the same key, the one with the smallest track_id stays. A track
    whose artist or title is blank or too long for a listen is left out: no listen can refer to it.
    """
    given = set(catalogue.columns)
    absent = F.lit(None).cast("string")
    named = catalogue.select(
        *REQUIRED_COLUMNS, *(F.col(name) if name in given else absent.alias(name) for name in OPTIONAL_COLUMNS)
    )
    repaired = repair_texts(named, _TEXTS)
    for name in ("artist_name", "title"):
        repaired = repaired.filter(f"{is_visible(name)} AND char_length({name}) <= {LONGEST_TITLE}")
    duration, year = F.col("duration").try_cast("double"), F.col("year").try_cast("int")
    latitude, longitude = F.col("artist_latitude").try_cast("double"), F.col("artist_longitude").try_cast("double")
    typed = repaired.select(
        F.col("artist_name").alias("artist"),
        "title",
        F.when(duration.between(0, _LONGEST_DURATION_SECONDS), duration).alias("duration_seconds"),
        F.when(year.between(1, _LATEST_YEAR), year).alias("year"),  # 0 stands for unknown
        latitude.alias("latitude"),
        longitude.alias("longitude"),
        *(_known(name).alias(name) for name in ("track_id", "song_id", "release", "artist_id")),
        _known("artist_location").alias("location"),
    )
    # 0 degrees in both stands for unknown, in some copies NaN does.
    place_known = F.col("latitude").between(-90, 90) & F.col("longitude").between(-180, 180)
    place_known = place_known & ((F.col("latitude") != 0) | (F.col("longitude") != 0))
    placed = typed.withColumns({name: F.when(place_known, F.col(name)) for name in ("latitude", "longitude")})
    keyed = placed.withColumns(
        {
            "song_key": song_key(F.col("artist"), F.col("title"), F.col("duration_seconds")),
            "artist_key": artist_key(F.col("artist")),
        }
    )
    by_key = Window.partitionBy("song_key").orderBy(
        *(F.asc_nulls_last(name) for name in ("track_id", "song_id", "release", "year", "artist_id", "location"))
    )
    return keyed.withColumn("_row", F.row_number().over(by_key)).filter(F.col("_row") == 1).drop("_row")


def _known(name: str) -> Column:
    return F.when(F.expr(is_visible(name)), F.col(name))
