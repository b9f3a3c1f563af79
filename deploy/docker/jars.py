"""Fill folders with the jars of a lock file: ``jars.py LOCK FOLDER``.

A lock file has the form of druid/cluster/jars.lock: the core's jars go into FOLDER itself, those of an extension into the folder
of its name in FOLDER/extensions. Each jar is downloaded from MUSIC_PLATFORM_MAVEN_REPOSITORY and checked against its sha256.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from music_platform.local.druid.artifacts import CORE, bring_jars, read_lock
from music_platform.settings import Settings


def main(lock: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as cache:
        for jar, file in bring_jars(read_lock(lock), Path(cache), Settings().maven_repository).items():
            place = folder if jar.place == CORE else folder / "extensions" / jar.place
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place / file.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
