"""The images: hadolint's rules, and what it does not know. Bases are pinned, nothing runs as root, no compiler is left.

No image is built here; `./run test -m compose` runs those that `deploy/docker/build` made.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from music_platform.collector import parse_configuration
from music_platform.collector.embedded_code import Variable
from music_platform.local.druid.artifacts import CORE, read_lock
from music_platform_tests.places import REPOSITORY
from music_platform_tests.unit.deploy.dockerfiles import Dockerfile, Stage

_IMAGES = REPOSITORY / "deploy" / "docker"
_PUBLISHED = sorted(_IMAGES.glob("*/Dockerfile"))
_ALL = sorted(_IMAGES.rglob("Dockerfile"))
_NAMES = {"collector", "druid", "platform", "superset"}
_PINNED = re.compile(r"[\w./-]+:(?!latest)[\w.-]*\d[\w.-]*")
_COMPILERS = re.compile(r"\b(build-essential|gcc|g\+\+|make|cargo|rustc|[\w.-]+-dev|git)\b")
_RUN_TIME_USER = "10001:10001"
_HOST = re.compile(r"https?://(?!127\.0\.0\.1|localhost)", re.IGNORECASE)


def _name(path: Path) -> str:
    return str(path.parent.relative_to(_IMAGES))


@pytest.fixture(scope="module")
def collector_variables() -> dict[str, Variable]:
    """Every variable that the collector's configuration asks for, whatever is switched on."""
    file = REPOSITORY / "fluentd" / "fluent.conf"
    names = ("SHARED_KEY", "METRICS_PORT", "TLS_CERTIFICATE", "TLS_CLIENT_CA")
    switched_on = {f"COLLECTOR_{name}": "1" for name in names}
    return parse_configuration(file, {}).variables | parse_configuration(file, switched_on).variables


def _last(name: str) -> Stage:
    """The stage that an image is, with the ENTRYPOINT, CMD and so on that count."""
    return Dockerfile.read(_IMAGES / name / "Dockerfile").stages[-1]


def test_there_is_an_image_for_each_service() -> None:
    assert {_name(path) for path in _PUBLISHED} == _NAMES


@pytest.mark.parametrize("path", _ALL, ids=_name)
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    ended = subprocess.run(
        [hadolint, "--config", REPOSITORY / ".hadolint.yaml", path], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("path", _PUBLISHED, ids=_name)
def test_bases_can_be_named_and_are_pinned(path: Path) -> None:
    dockerfile = Dockerfile.read(path)
    assert dockerfile.arguments
    for default in dockerfile.arguments.values():
        assert _PINNED.fullmatch(default)
    named = {f"${{{argument}}}" for argument in dockerfile.arguments} | {stage.name for stage in dockerfile.stages}
    assert {stage.base for stage in dockerfile.stages} <= named


@pytest.mark.parametrize("path", _PUBLISHED, ids=_name)
def test_an_image_runs_as_its_own_user_and_says_what_it_is(path: Path) -> None:
    dockerfile = Dockerfile.read(path)
    targets = [stage for stage in dockerfile.stages if stage.name in ("", "platform", "spark")]
    for stage in targets:
        assert stage.all("USER")[-1] == _RUN_TIME_USER
        labels = " ".join(label for part in dockerfile.lineage(stage) for label in part.all("LABEL"))
        for label in ("title", "description", "licenses", "version", "revision"):
            assert f"org.opencontainers.image.{label}=" in labels


@pytest.mark.parametrize("path", _PUBLISHED, ids=_name)
def test_the_user_of_an_image_has_a_name(path: Path) -> None:
    """Hadoop's libraries fail without one: Kubernetes, unlike podman, does not make it up."""
    dockerfile = Dockerfile.read(path)
    commands = " ".join(command for part in dockerfile.lineage(dockerfile.stages[-1]) for command in part.all("RUN"))
    uid = _RUN_TIME_USER.partition(":")[0]
    assert re.search(rf"useradd [^&]*--uid {uid}\b|echo '\w+:x:{uid}:{uid}:[^']*' >> /etc/passwd", commands)


@pytest.mark.parametrize("path", _PUBLISHED, ids=_name)
def test_no_compiler_and_no_list_of_packages_is_left(path: Path) -> None:
    dockerfile = Dockerfile.read(path)
    for stage in dockerfile.stages:
        for command in stage.all("RUN"):
            assert ("apt-get install" in command) == ("rm -rf /var/lib/apt/lists/*" in command)
    for stage in dockerfile.lineage(dockerfile.stages[-1]):
        assert [command for command in stage.all("RUN") if _COMPILERS.search(command)] == []


@pytest.mark.parametrize("path", _ALL, ids=_name)
def test_files_are_copied_from_the_context_and_none_comes_by_a_url(path: Path) -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    allowed = [line.removeprefix("!").rstrip("/") for line in ignored if line.startswith("!")]
    own_context = path.parent if _name(path) in ("bases/postgres", "bases/s3") else None
    assert not _HOST.search(path.read_text())
    for stage in Dockerfile.read(path).stages:
        assert stage.all("ADD") == []
        for copied in stage.all("COPY"):
            *sources, _ = [word for word in shlex.split(copied) if not word.startswith("--")]
            if "--from=" in copied or (own_context and sources == ["versitygw"]):  # built beside it, by bases/build
                continue
            for source in sources:
                assert ((own_context or REPOSITORY) / source).exists()
                assert own_context or any(
                    source.rstrip("/") == place or source.startswith(f"{place}/") for place in allowed
                )


@pytest.mark.parametrize("path", _PUBLISHED, ids=_name)
def test_the_last_step_of_a_build_runs_what_was_installed(path: Path) -> None:
    ends = {
        "platform": "dagster definitions validate --module-name music_platform.definitions",
        "superset": "import superset",
        "druid": "org.apache.druid.cli.Main",
        "collector": "--dry-run",
    }
    dockerfile = Dockerfile.read(path)
    stage = next(stage for stage in dockerfile.stages if stage.name in ("", "platform"))
    assert ends[_name(path)] in stage.all("RUN")[-1]


def test_packages_are_those_of_the_locks() -> None:
    for name in ("platform", "superset"):
        commands = [
            command for stage in Dockerfile.read(_IMAGES / name / "Dockerfile").stages for command in stage.all("RUN")
        ]
        synced = [command for command in commands if "uv sync" in command]
        assert synced
        assert all("--locked --no-dev" in command for command in synced)
        for command in commands:
            assert re.findall(r"pip install(?! --no-cache-dir \w+==\d)", command) == []


def test_the_collector_s_image_has_the_plugins_and_ports_of_its_configuration(
    collector_variables: dict[str, Variable],
) -> None:
    gems_stage, stage = Dockerfile.read(_IMAGES / "collector" / "Dockerfile").stages
    [command] = gems_stage.all("RUN")
    installed = re.findall(r"gem install --no-document (\S+) --version \d+\.\d+\.\d+\b", command)
    assert installed == ["fluentd", "fluent-plugin-s3", "fluent-plugin-prometheus"]
    assert command.count("gem install") == len(installed)
    [exposed] = [set(ports.split()) for ports in stage.all("EXPOSE")]
    defaults = {collector_variables[f"COLLECTOR_{name}_PORT"].default for name in ("FORWARD", "HTTP", "HEALTH")}
    assert exposed == defaults | {"24231"}
    [environment] = [dict(word.split("=", 1) for word in shlex.split(words)) for words in stage.all("ENV")]
    assert {name for name in environment if name.startswith("COLLECTOR_")} <= set(collector_variables)
    assert environment["COLLECTOR_STATE"] == collector_variables["COLLECTOR_STATE"].default
    assert environment["COLLECTOR_EVENTS"] == collector_variables["COLLECTOR_EVENTS"].default


def test_the_collector_starts_with_its_configuration_and_guards() -> None:
    stage = _last("collector")
    assert "fluentd/ /etc/fluentd/" in stage.all("COPY")
    name, *arguments = json.loads(stage.all("ENTRYPOINT")[-1])
    assert (name, arguments[::2]) == ("fluentd", ["-r", "--config"])
    assert all((REPOSITORY / path.removeprefix("/etc/")).is_file() for path in arguments[1::2])


def test_druid_s_image_has_the_properties_of_every_service() -> None:
    copied = {copy.split()[0]: copy.split()[-1] for copy in _last("druid").all("COPY")}
    cluster = REPOSITORY / "druid" / "cluster"
    services = {path.parent.name for path in cluster.glob("*/runtime.properties")}
    assert {f"druid/cluster/{service}/" for service in {*services, "_common"}} <= set(copied)
    # The folders in which the official entrypoint looks for a service.
    assert {target.removeprefix("/opt/druid/conf/druid/cluster/") for target in copied.values()} >= {
        "_common/", "master/coordinator-overlord/", "query/broker/", "query/router/", "data/historical/", "data/indexer/",
    }  # fmt: skip


def test_spark_s_jars_fit_the_locked_spark() -> None:
    jars = {jar.coordinates.rpartition(":")[0]: jar for jar in read_lock(_IMAGES / "spark" / "jars.lock")}
    assert {jar.place for jar in jars.values()} == {CORE}
    assert "software.amazon.awssdk:bundle" not in jars
    pyspark = next(Path(place, "pyspark", "jars") for place in sys.path if Path(place, "pyspark", "jars").is_dir())
    [client] = pyspark.glob("hadoop-client-api-*.jar")
    version = client.stem.removeprefix("hadoop-client-api-")
    assert jars["org.apache.hadoop:hadoop-aws"].coordinates.endswith(f":{version}")
    own = {re.sub(r"-\d.*", "", file.name) for file in pyspark.glob("*.jar")}
    assert {name.rpartition(":")[2] for name in jars} & own == set()
