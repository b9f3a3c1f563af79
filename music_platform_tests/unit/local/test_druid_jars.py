"""The jars of the local Druid: read from the lock file, downloaded whole or not at all, resumed where a download broke off."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from music_platform.errors import LocalDruidError
from music_platform.local.druid import artifacts
from music_platform.local.druid.artifacts import CORE, LockedJar, bring_jars, read_lock
from music_platform.local.druid.configuration import CLUSTER_FOLDER


class Repository:
    """A Maven repository on loopback: what it serves by path, what was asked, and after how many bytes it breaks off."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.breaks_off_after: list[int] = []
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, asked_range = self.path.lstrip("/"), self.headers["Range"]
                repository.asked.append((path, asked_range))
                content = repository.files.get(path)
                if content is None:
                    self.send_error(404)
                    return
                first = int(asked_range.removeprefix("bytes=").rstrip("-")) if asked_range else 0
                rest = content[first:]
                self.send_response(206 if asked_range else 200)
                self.send_header("Content-Length", str(len(rest)))
                self.end_headers()
                sent = repository.breaks_off_after.pop(0) if repository.breaks_off_after else len(rest)
                self.wfile.write(rest[:sent])
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Log nothing: what was asked stands in ``asked``."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name: str, content: bytes) -> LockedJar:
        """Serve a jar; gives its line of a lock file."""
        path = f"org/example/{name}.jar"
        self.files[path] = content
        return LockedJar(CORE, f"org.example:{name}:1", path, len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    monkeypatch.setattr(artifacts, "_FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(artifacts, "_PIECE_BYTES", 256)  # of which what came of the last one is lost
    repository = Repository()
    yield repository
    repository.server.shutdown()
    repository.server.server_close()


def test_the_platforms_own_lock_file_is_read() -> None:
    jars = read_lock(CLUSTER_FOLDER / "jars.lock")
    assert len(jars) > 100
    assert all(len(jar.sha256) == 64 and jar.size > 0 and jar.path.endswith(".jar") for jar in jars)


@pytest.mark.parametrize("line", ["core\tx\tx.jar\t5", "core\tx\tx.jar\tfive\tabc", "core x x.jar 5 abc"])
def test_a_line_of_the_lock_file_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "jars.lock"
    file.write_text(f"# place, coordinates\n\ncore\ta:b:1\ta.jar\t5\tabc\n{line}\n")
    with pytest.raises(LocalDruidError, match=r"jars\.lock, line 4: not 'place, coordinates, path, size, sha256'"):
        read_lock(file)


def test_jars_are_downloaded_once(repository: Repository, tmp_path: Path) -> None:
    jars = [repository.add(name, name.encode() * 1000) for name in ("one", "two", "three")]
    progress: list[tuple[int, int]] = []
    files = bring_jars(jars, tmp_path / "cache", repository.url, lambda *done: progress.append(done))
    assert [files[jar].read_bytes() for jar in jars] == [repository.files[jar.path] for jar in jars]
    assert (progress[0], progress[-1]) == ((0, 11_000), (11_000, 11_000))
    assert len(repository.asked) == 3
    assert bring_jars(jars, tmp_path / "cache", repository.url) == files
    assert len(repository.asked) == 3


def test_a_download_that_breaks_off_goes_on_from_there(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("large", bytes(range(256)) * 40)
    repository.breaks_off_after = [1100, 600]
    files = bring_jars([jar], tmp_path, repository.url)
    assert files[jar].read_bytes() == repository.files[jar.path]
    assert [asked_range for _, asked_range in repository.asked] == [None, "bytes=1024-", "bytes=1536-"]


def test_the_next_command_goes_on_where_the_last_one_gave_up(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("large", bytes(range(256)) * 40)
    repository.breaks_off_after = [1024, 0, 0, 0]
    with pytest.raises(LocalDruidError, match=r"org\.example:large:1 cannot be downloaded from .*MAVEN_REPOSITORY"):
        bring_jars([jar], tmp_path, repository.url)
    assert not (tmp_path / jar.path).exists()
    assert bring_jars([jar], tmp_path, repository.url)[jar].read_bytes() == repository.files[jar.path]
    assert repository.asked[-1] == (jar.path, "bytes=1024-")


def test_a_jar_that_the_repository_lacks_is_asked_for_once(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("gone", b"content")
    repository.files.clear()
    with pytest.raises(LocalDruidError, match=r"org\.example:gone:1 cannot be downloaded from .*404"):
        bring_jars([jar], tmp_path, repository.url)
    assert len(repository.asked) == 1


def test_another_content_than_the_locked_one_is_thrown_away(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("forged", b"the jar")
    repository.files[jar.path] = b"no jar!"
    with pytest.raises(LocalDruidError, match=r"org\.example:forged:1 .* is not the jar of the lock file: sha256"):
        bring_jars([jar], tmp_path, repository.url)
    assert [file.name for file in tmp_path.rglob("*forged*")] == []
    repository.files[jar.path] = b"the jar"
    assert bring_jars([jar], tmp_path, repository.url)[jar].read_bytes() == b"the jar"


def test_a_damaged_jar_of_the_cache_is_replaced(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("one", b"the jar")
    file = bring_jars([jar], tmp_path, repository.url)[jar]
    file.write_bytes(b"the jxr")
    assert bring_jars([jar], tmp_path, repository.url)[jar].read_bytes() == b"the jar"


def test_a_cache_that_cannot_be_written_is_named(repository: Repository, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file")
    with pytest.raises(LocalDruidError, match=r"the jars of Druid cannot be kept in .*cache"):
        bring_jars([repository.add("one", b"the jar")], cache, repository.url)
