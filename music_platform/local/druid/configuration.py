"""The configuration of the local Druid: druid/cluster/ together with this machine's ports and folders.

Decides Druid's folders and its JVM's command line; does not start or stop it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from music_platform.errors import LocalDruidError
from music_platform.local.druid.artifacts import CORE, LockedJar
from music_platform.settings import Settings

CLUSTER_FOLDER = Path(__file__).resolve().parents[3] / "druid" / "cluster"
ZOOKEEPER = "zookeeper"
METADATA_STORE = "metadata store"
# In the order of their start; the value is the class that Druid's own command line runs for the name.
DRUID_SERVICES = {
    "coordinator-overlord": "org.apache.druid.cli.CliCoordinator",
    "broker": "org.apache.druid.cli.CliBroker",
    "historical": "org.apache.druid.cli.CliHistorical",
    "indexer": "org.apache.druid.cli.CliIndexer",
    "router": "org.apache.druid.cli.CliRouter",
}
SERVICES = (ZOOKEEPER, *DRUID_SERVICES)
HOST = "127.0.0.1"

_ZOOKEEPER_PORT = 2181
_METADATA_STORE_PORT = 1527
_COMPILER_JARS = ("org.codehaus.janino:janino:", "org.codehaus.janino:commons-compiler:")
_PORT_PROPERTY = "druid.plaintextPort"


class LocalConfiguration:
    """The folders and ports of the local Druid, from the settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = Path(settings.druid_folder)
        self.logs = self.folder / "logs"
        self.java_log = self.logs / "java.log"
        self.zookeeper_data = self.folder / "zookeeper"
        if not CLUSTER_FOLDER.is_dir():
            raise LocalDruidError(
                f"there is no folder {CLUSTER_FOLDER}: the local Druid runs from the repository; elsewhere set "
                "MUSIC_PLATFORM_DRUID_URL to a Druid that runs"
            )
        self._properties = {
            service: read_properties(CLUSTER_FOLDER / service / "runtime.properties") for service in DRUID_SERVICES
        }

    @property
    def ports(self) -> dict[str, int]:
        """The port of each service and of the metadata store, the offset included."""
        offset = self.settings.druid_port_offset
        ports = {ZOOKEEPER: _ZOOKEEPER_PORT + offset, METADATA_STORE: _METADATA_STORE_PORT + offset}
        return ports | {name: int(found[_PORT_PROPERTY]) + offset for name, found in self._properties.items()}

    def url_of(self, service: str) -> str:
        return f"http://{HOST}:{self.ports[service]}"

    def log_of(self, service: str) -> Path:
        return self.logs / f"{service}.log"

    def write(self, jars: Mapping[LockedJar, Path]) -> None:
        """Write the JVM's files: a folder for each service, the classpath and the folders of the extensions."""
        for place in ("configuration", "logs", "tmp"):
            (self.folder / place).mkdir(parents=True, exist_ok=True)
        self._link_extensions(jars)
        core = [str(file) for jar, file in jars.items() if jar.place == CORE]
        (self.folder / "configuration" / "classpath").write_text("\n".join(core) + "\n")
        log_template = (CLUSTER_FOLDER / "log4j2.xml").read_text()
        for service in SERVICES:
            place = self.folder / "configuration" / service
            place.mkdir(exist_ok=True)
            (place / "log4j2.xml").write_text(log_template.replace("${LOG_FILE}", str(self.log_of(service))))
            file = place / "runtime.properties"
            file.touch(mode=0o600)  # it can hold the lake's credentials
            file.write_text(_as_java_properties(self._properties_of(service)))

    def command(self, java: Path, jars: Mapping[LockedJar, Path], further_options: Sequence[str] = ()) -> list[str]:
        """The command of the JVM. Janino, one of the jars, compiles LocalDruid.java, so no JDK compiler is needed."""
        compiler = [str(file) for jar, file in jars.items() if jar.coordinates.startswith(_COMPILER_JARS)]
        return [
            str(java),
            *_lines(CLUSTER_FOLDER / "jvm.options"),
            *further_options,
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            "-cp",
            ":".join(compiler),
            "org.codehaus.janino.SimpleCompiler",
            str(CLUSTER_FOLDER / "LocalDruid.java"),
            "LocalDruid",
            str(self.folder / "configuration"),
            *SERVICES,
        ]

    def _link_extensions(self, jars: Mapping[LockedJar, Path]) -> None:
        extensions = self.folder / "extensions"
        shutil.rmtree(extensions, ignore_errors=True)
        for jar, file in jars.items():
            if jar.place != CORE:
                place = extensions / jar.place
                place.mkdir(parents=True, exist_ok=True)
                (place / file.name).symlink_to(file)

    def _properties_of(self, service: str) -> dict[str, str]:
        ports = self.ports
        if service == ZOOKEEPER:
            return {
                "dataDir": str(self.zookeeper_data),
                "clientPort": str(ports[ZOOKEEPER]),
                "clientPortAddress": HOST,
                "tickTime": "2000",
                "admin.enableServer": "false",
            }
        return {
            **read_properties(CLUSTER_FOLDER / "_common" / "common.runtime.properties"),
            **self._properties[service],
            **read_properties(CLUSTER_FOLDER / "local.properties"),
            **self._lake_properties(),
            **self._segment_cache_properties(service),
            "local.class": DRUID_SERVICES[service],
            _PORT_PROPERTY: str(ports[service]),
            "druid.extensions.directory": str(self.folder / "extensions"),
            "druid.zk.service.host": f"{HOST}:{ports[ZOOKEEPER]}",
            "druid.metadata.storage.connector.connectURI": (
                f"jdbc:derby://{HOST}:{ports[METADATA_STORE]}/{self.folder / 'metadata'};create=true"
            ),
            "druid.metadata.storage.connector.host": HOST,
            "druid.metadata.storage.connector.port": str(ports[METADATA_STORE]),
            "druid.storage.storageDirectory": str(self.folder / "segments"),
            "druid.indexer.logs.directory": str(self.folder / "task-logs"),
            "druid.indexer.task.baseDir": str(self.folder / "tasks"),
            "druid.processing.tmpDir": str(self.folder / "tmp"),
        }

    def _segment_cache_properties(self, service: str) -> dict[str, str]:
        """The historical's segments. At their start, broker and indexer would also announce those that they find in such a
        folder.
        """
        if service != "historical":
            return {}
        return {"druid.segmentCache.locations": f'[{{"path":"{self.folder / "segment-cache"}","maxSize":"50g"}}]'}

    def _lake_properties(self) -> dict[str, str]:
        """A lake on S3: Druid's own credentials for it, so that no ingestion spec has to hold any."""
        settings = self.settings
        if settings.lake_location.is_local:
            return {}
        url = settings.s3_endpoint_url
        properties = {
            "druid.s3.endpoint.url": url,
            "druid.s3.endpoint.signingRegion": settings.s3_region,
            "druid.s3.enablePathStyleAccess": "true",
            "druid.s3.protocol": url.partition("://")[0],
        }
        if settings.s3_access_key_id:
            properties["druid.s3.accessKey"] = settings.s3_access_key_id
            properties["druid.s3.secretKey"] = settings.s3_secret_access_key.get_secret_value()
        return properties


def read_properties(file: Path) -> dict[str, str]:
    """The properties of a file in the plain form of druid/cluster/: ``name=value`` lines and comments."""
    pairs = (line.partition("=") for line in _lines(file))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]


def _as_java_properties(properties: Mapping[str, str]) -> str:
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def _escaped(value: str) -> str:
    """A value as java.util.Properties reads it from a file of Latin-1."""
    utf_16 = value.replace("\\", "\\\\").encode("utf-16-be")
    units = (int.from_bytes(utf_16[place : place + 2]) for place in range(0, len(utf_16), 2))
    return "".join(chr(unit) if 32 <= unit < 127 else f"\\u{unit:04x}" for unit in units)
