"""The dashboards brought into a Superset, and every chart of them asked for its data.

What they are stands in bundle.py; when it is done is decided by the asset.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from music_platform.errors import MusicPlatformError
from music_platform.serving.superset.bundle import DASHBOARDS, bundle_files
from music_platform.serving.superset.client import SupersetError, SupersetResource
from music_platform.serving.superset.datasets import DATASETS
from music_platform.serving.superset.datasources import DATASOURCES
from music_platform.serving.superset.gate import problems_of_bundle
from music_platform.serving.superset.model import Chart, Dashboard, Dataset

VIEWER_ROLE = "Viewer"
_PROBLEMS_SHOWN = 10
# Druid's broker learns of a datasource seconds after its segments are loaded, and after a restart of all datasources again.
_DATASOURCE_SECONDS = 60.0
_DATASOURCE_POLL_SECONDS = 2.0
_UNKNOWN_DATASOURCE = re.compile(r"Object '[^']+' not found")


class InvalidBundleError(MusicPlatformError):
    """The bundle does not hold together; Superset has not been asked."""


class DatasetError(MusicPlatformError):
    """A dataset's columns could not be read from Druid."""


@dataclass(frozen=True)
class ChartAnswer:
    """What a chart got when it asked for its data: rows, or an error's text.

    ``is_unfilled``: its datasource has no row at all, as recommendations on a first day.
    """

    dashboard: Dashboard
    chart: Chart
    rows: int = 0
    error: str = ""
    is_unfilled: bool = False

    @property
    def problem(self) -> str:
        """What is wrong with it, for people; empty when nothing is."""
        if self.error:
            return f"{self._name} (datasource {self.chart.dataset.datasource}): {self.error}"
        if not self.rows and not self.chart.may_be_empty and not self.is_unfilled:
            return (
                f"{self._name} has no rows, and its datasource {self.chart.dataset.datasource} has some; "
                "mend the chart's conditions"
            )
        return ""

    @property
    def _name(self) -> str:
        return f"chart '{self.chart.title}' of {self.dashboard.title}"


def bundle_digest() -> str:
    """A digest of all that is imported but for the connection, which may hold a password."""
    digest = hashlib.sha256()
    for name, text in sorted(bundle_files("").items()):
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()[:16]


def publish(superset: SupersetResource, files: Mapping[str, str]) -> list[str]:
    """Make Superset's dashboards those of the bundle, read their columns from Druid, let viewers at their data.

    Any number of times, with the same result. Returns the datasources that Druid does not know, as ``read_columns``. Raises
    ``InvalidBundleError`` before anything is changed, ``DatasetError`` for columns that cannot be read, and ``SupersetError``.
    """
    if problems := problems_of_bundle(files, DATASOURCES):
        more = f"\n  and {len(problems) - _PROBLEMS_SHOWN} more" if len(problems) > _PROBLEMS_SHOWN else ""
        raise InvalidBundleError(
            "the dashboards' bundle does not hold together, and nothing was imported; mend music_platform/dashboards:"
            + "".join(f"\n  {problem}" for problem in problems[:_PROBLEMS_SHOWN])
            + more
        )
    superset.import_assets(files)
    numbers = superset.numbers_by_uuid("dataset")
    unknown = read_columns(superset, numbers)
    superset.grant_datasets(VIEWER_ROLE, [numbers[dataset.uuid] for dataset in DATASETS])
    return unknown


def read_columns(
    superset: SupersetResource, numbers: Mapping[str, int], seconds: float = _DATASOURCE_SECONDS
) -> list[str]:
    """Read the columns of every dataset from Druid; ``numbers`` are Superset's own of the datasets, by UUID.

    A datasource that Druid does not know is asked for again as long as the seconds allow, which are those of all datasets
    together. Druid knows none that has no row; those are returned, and keep the columns of the bundle. Raises ``DatasetError``
    with Druid's own words where something else is amiss.
    """
    deadline = time.monotonic() + seconds
    unknown: list[str] = []
    for dataset in DATASETS:
        number = numbers[dataset.uuid]
        while (refusal := _refusal_of(superset, number)) is not None:
            if time.monotonic() <= deadline:
                time.sleep(_DATASOURCE_POLL_SECONDS)
                continue
            answer = _answer_of_druid(superset, number)
            if not _says_unknown(answer):
                raise DatasetError(
                    f"the columns of the dataset {dataset.datasource} cannot be read: {refusal}. Asked for its rows, Druid "
                    f"answers: {answer}. Superset must reach Druid by the database's url"
                )
            unknown.append(dataset.datasource)
            break
    return unknown


def _says_unknown(answer: str) -> bool:
    """Whether an answer of Druid says that there is no such datasource: no row of it was ever loaded."""
    return _UNKNOWN_DATASOURCE.search(answer) is not None


def _refusal_of(superset: SupersetResource, number: int) -> SupersetError | None:
    """How Superset failed to read the dataset's columns; None once it has read them."""
    try:
        superset.refresh_dataset(number)
    except SupersetError as error:
        if error.status is None or error.status < HTTPStatus.UNPROCESSABLE_ENTITY:
            raise  # it does not answer, or it may not be asked
        return error
    return None


def _answer_of_druid(superset: SupersetResource, number: int) -> str:
    try:
        return f"{superset.count_rows(number):,} rows"
    except SupersetError as error:
        return str(error)


def ask_charts(superset: SupersetResource, dashboards: Sequence[Dashboard] = DASHBOARDS) -> Iterator[ChartAnswer]:
    """The answer to each chart's saved query, which is run again."""
    numbers = superset.numbers_by_uuid("chart")
    datasets = superset.numbers_by_uuid("dataset")
    unfilled: dict[str, bool] = {}  # by datasource, asked for where a chart has no rows

    def is_unfilled(dataset: Dataset) -> bool:
        if dataset.datasource not in unfilled:
            unfilled[dataset.datasource] = _has_no_row(superset, datasets[dataset.uuid])
        return unfilled[dataset.datasource]

    for dashboard in dashboards:
        for chart in dashboard.charts:
            number = numbers.get(dashboard.chart_uuid(chart))
            if number is None:
                yield ChartAnswer(dashboard, chart, error="Superset does not have it; import the dashboards again")
                continue
            try:
                rows = len(superset.chart_data(number))
                yield ChartAnswer(dashboard, chart, rows=rows, is_unfilled=not rows and is_unfilled(chart.dataset))
            except SupersetError as error:
                if _says_unknown(str(error)):
                    yield ChartAnswer(dashboard, chart, is_unfilled=True)
                else:
                    yield ChartAnswer(dashboard, chart, error=str(error))


def _has_no_row(superset: SupersetResource, number: int) -> bool:
    """Whether Druid has no row of a dataset, or does not know it; an error of another kind is raised."""
    try:
        return superset.count_rows(number) == 0
    except SupersetError as error:
        if _says_unknown(str(error)):
            return True
        raise
