"""The jars of the local Druid: the lock file, and a cache that is filled from a Maven repository.

A jar gets its own name in the cache only after its checksum was verified. Using the jars does not belong here.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from music_platform.errors import LocalDruidError
from music_platform.http_sessions import new_session

CORE = "core"

_PARALLEL_DOWNLOADS = 8
_ATTEMPTS = 4
_FIRST_WAIT_SECONDS = 1.0
_TIMEOUT_SECONDS = (10.0, 60.0)  # to connect, and between two pieces
_PIECE_BYTES = 1 << 18
_FIELDS = 5


@dataclass(frozen=True)
class LockedJar:
    """A line of the lock file: a jar of the core, or of the extension whose folder ``place`` names."""

    place: str
    coordinates: str
    path: str
    size: int
    sha256: str


def read_lock(file: Path) -> list[LockedJar]:
    """The jars of a lock file, in its order; ``LocalDruidError`` names a line that cannot be read."""
    jars = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != _FIELDS or not fields[3].isdigit():
            raise LocalDruidError(f"{file}, line {number}: not 'place, coordinates, path, size, sha256', tab-separated")
        jars.append(LockedJar(fields[0], fields[1], fields[2], int(fields[3]), fields[4]))
    return jars


def bring_jars(
    jars: Sequence[LockedJar], cache: Path, repository: str, progress: Callable[[int, int], None] = lambda *_: None
) -> dict[LockedJar, Path]:
    """The path of each jar in the cache; missing jars are downloaded in parallel first.

    ``progress`` is called with the downloaded bytes and the bytes of all jars. If this fails, the downloaded part stays and the
    next call continues from it. Raises ``LocalDruidError`` that names the jar.
    """
    total = sum(jar.size for jar in jars)
    files = {jar: cache / jar.path for jar in jars}
    try:
        with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
            is_downloaded = dict(zip(jars, pool.map(lambda jar: _is_verified(files[jar], jar), jars), strict=True))
        done = sum(jar.size for jar in jars if is_downloaded[jar])
        progress(done, total)
        missing = [jar for jar in jars if not is_downloaded[jar]]
        if missing:
            with _alone(cache):
                _download_all(missing, files, repository, lambda size: progress(done + size, total))
    except OSError as error:
        raise LocalDruidError(f"the jars of Druid cannot be kept in {cache}: {error}") from error
    return files


@contextmanager
def _alone(cache: Path) -> Generator[None]:
    """Wait until no other command downloads into the cache: two would write into each other's files."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download_all(
    jars: Sequence[LockedJar], files: Mapping[LockedJar, Path], repository: str, progress: Callable[[int], None]
) -> None:
    """Download in parallel; ``progress`` is called with the number of received bytes."""
    done = 0
    session = new_session(connections=_PARALLEL_DOWNLOADS)
    with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        downloads = {pool.submit(_download, session, repository, jar, files[jar]): jar for jar in jars}
        try:
            for download in as_completed(downloads):
                download.result()
                done += downloads[download].size
                progress(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _is_verified(file: Path, jar: LockedJar) -> bool:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _download(session: requests.Session, repository: str, jar: LockedJar, file: Path) -> None:
    """Download one jar, resuming an earlier attempt of any process."""
    if _is_verified(file, jar):  # another command downloaded it in the meantime
        return
    url = f"{repository}/{jar.path}"
    part = file.with_name(f"{file.name}.part")
    file.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
        try:
            _receive(session, url, part, jar.size)
            break
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else None
            if attempt == _ATTEMPTS - 1 or (status is not None and 400 <= status < 500 and status != 429):
                raise LocalDruidError(
                    f"{jar.coordinates} cannot be downloaded from {url}: {error}. Check the network, or name a mirror of "
                    "Maven Central by MUSIC_PLATFORM_MAVEN_REPOSITORY; what was downloaded stays, and the same command goes on."
                ) from error
    with part.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != jar.sha256:
        size = part.stat().st_size
        part.unlink()
        raise LocalDruidError(
            f"{jar.coordinates} from {url} is not the jar of the lock file: sha256 {found} ({size:,} bytes) instead of "
            f"{jar.sha256} ({jar.size:,} bytes). It was thrown away. Ask again, or check MUSIC_PLATFORM_MAVEN_REPOSITORY."
        )
    part.replace(file)


def _receive(session: requests.Session, url: str, part: Path, size: int) -> None:
    """Append the missing rest of the file to the part; ``requests.RequestException`` if it is incomplete."""
    begun = part.stat().st_size if part.exists() else 0
    if begun == size:
        return
    if begun > size:
        begun = 0
    headers = {"Range": f"bytes={begun}-"} if begun else {}
    with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as answer:
        answer.raise_for_status()
        is_rest = answer.status_code == requests.codes.partial_content
        with part.open("ab" if is_rest else "wb") as output:
            for piece in answer.iter_content(_PIECE_BYTES):
                output.write(piece)
    if (received := part.stat().st_size) < size:
        raise requests.ConnectionError(f"the connection ended after {received:,} of {size:,} bytes")
