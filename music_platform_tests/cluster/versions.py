"""Prints the data versions of every table's partition, as JSON: run where the lake is, so with the package alone.

Usage: versions.py PARTITION
"""

import json
import sys

from music_platform.lake.lake import Lake
from music_platform.lake.manifest import read_manifest
from music_platform.settings import Settings
from music_platform.tables.catalogue import TABLES
from music_platform.tables.contract import Cadence

partition = sys.argv[1]
store = Lake(Settings()).store
found = {
    path: read_manifest(store, table, partition) for path, table in TABLES.items() if table.cadence is Cadence.HOURLY
}
sys.stdout.write(
    json.dumps({path: manifest[0].data_version for path, manifest in found.items() if manifest}, sort_keys=True)
)
