"""The generator against a sample of the real Eventsim's output, made with the same configuration.

The sample stands for 2,000 listeners, so how far it may lie from the generator's mean is measured, not guessed: on
many populations of 2,000 listeners of the generator's own.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from music_platform.compressed_text import read_bytes
from music_platform.eventsim import GeneratorOptions
from music_platform.eventsim.generator import Run
from music_platform.eventsim.options import make_plan
from music_platform_tests.places import SAMPLE_FOLDER

_START, _DAYS = datetime(2026, 11, 1, tzinfo=UTC), 14
_START_SECONDS = int(_START.timestamp())
_SAMPLE_USERS, _POPULATIONS = 2_000, 40
# Of the dozens of figures compared, one beyond four deviations would come by chance in a run out of some hundred.
_DEVIATIONS = 4.0
_RARE_PAGE_VIEWS = 150
_PAGES = [
    "About", "Cancel", "Cancellation Confirmation", "Downgrade", "Error", "Help", "Home", "Login", "Logout", "NextSong",
    "Register", "Save Settings", "Settings", "Submit Downgrade", "Submit Registration", "Submit Upgrade", "Upgrade",
]  # fmt: skip
_ANONYMOUS = ("Guest", "Logged Out")


@dataclass(frozen=True)
class _Views:
    """Page views of 2,000 listeners; arrays of one length. Pages are positions in ``_PAGES``."""

    ts: np.ndarray
    page: np.ndarray
    anonymous: np.ndarray
    paid: np.ndarray
    session: np.ndarray
    item: np.ndarray
    after_login: np.ndarray

    def only(self, which: np.ndarray) -> "_Views":
        return _Views(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


Figures = dict[str, float]


def _figures(views: _Views, pages: list[str]) -> Figures:
    found: Figures = {}
    count = views.ts.size
    sessions, first_rows, lengths = np.unique(views.session, return_index=True, return_counts=True)
    starts = views.item == 0
    for level, is_level in (("free", ~views.paid), ("paid", views.paid)):
        for page in pages:
            found[f"share of {page} among {level} page views"] = float(
                (views.page[is_level] == _PAGES.index(page)).mean()
            )
        found[f"page views per {level} session"] = float(lengths[views.paid[first_rows] == (level == "paid")].mean())
    found["page views per session"] = count / sessions.size
    found["sessions per user"] = sessions.size / _SAMPLE_USERS
    found["anonymous share"] = float(views.anonymous.mean())
    found["auth events per page view"] = float(views.after_login.mean())
    for name, times in (("sessions that start", views.ts[starts]), ("page views", views.ts)):
        for first in range(0, 24, 3):
            found[f"share of {name} from {first} to {first + 3} UTC"] = float(
                (times // 3_600 % 24 // 3 == first // 3).mean()
            )
        days = (times - _START_SECONDS) // 86_400
        found[f"share of {name} on days off"] = float(np.isin(days, [0, 6, 7, 10, 13]).mean())
    return found


def _sample() -> _Views:
    views = pd.read_csv(SAMPLE_FOLDER / "eventsim" / "page_views_of_14_days.csv.xz")
    # The real Eventsim lets one page view past the end out.
    views = views[views["second"] < _DAYS * 86_400].sort_values(["second", "session_id", "item_in_session"])
    return _Views(
        ts=views["second"].to_numpy() + _START_SECONDS,
        page=np.array([_PAGES.index(page) for page in views["page"]]),
        anonymous=views["is_anonymous"].to_numpy(bool),
        paid=views["is_paid"].to_numpy(bool),
        session=views["session_id"].to_numpy(),
        item=views["item_in_session"].to_numpy(),
        after_login=views["has_auth_event"].to_numpy(bool),
    )


def _simulated(config: Path, populations: int) -> list[_Views]:
    """Independent populations of the sample's size, from one run: listeners do not influence each other."""
    users = _SAMPLE_USERS * populations
    run = Run(
        make_plan(
            GeneratorOptions(
                config=config,
                songs=SAMPLE_FOLDER / "eventsim" / "songs.csv.xz",
                users=users,
                growth_rate=0.3,
                start=_START,
                days=_DAYS,
                seed=2,
            )
        )
    )
    batch = run.simulation.advance(run.end)
    states = run.simulation.machine.states
    views = _Views(
        ts=batch.ts,
        page=np.array([_PAGES.index(state.page) for state in states])[batch.state],
        anonymous=np.array([state.auth in _ANONYMOUS for state in states])[batch.state],
        paid=np.array([state.level == "paid" for state in states])[batch.state],
        session=batch.session,
        item=batch.item,
        after_login=batch.after_login,
    )
    return [views.only(batch.user % populations == number) for number in range(populations)]


def _differences(sample: Figures, populations: list[Figures], deviation: Figures) -> dict[str, float]:
    """For each figure the sample's distance from the populations' mean, in standard deviations of one population."""
    return {
        name: (value - float(np.mean([figures[name] for figures in populations]))) / deviation[name]
        for name, value in sample.items()
    }


@pytest.fixture(scope="module")
def sample_views() -> _Views:
    return _sample()


@pytest.fixture(scope="module")
def frequent_pages(sample_views: _Views) -> list[str]:
    counts = np.bincount(sample_views.page, minlength=len(_PAGES))
    return [page for page, count in zip(_PAGES, counts, strict=True) if count >= _RARE_PAGE_VIEWS]


@pytest.fixture(scope="module")
def sample(sample_views: _Views, frequent_pages: list[str]) -> Figures:
    return _figures(sample_views, frequent_pages)


@pytest.fixture(scope="module")
def populations(frequent_pages: list[str]) -> list[Figures]:
    views = _simulated(SAMPLE_FOLDER / "eventsim" / "example-config.json.xz", _POPULATIONS)
    return [_figures(each, frequent_pages) for each in views]


@pytest.fixture(scope="module")
def deviation(populations: list[Figures]) -> Figures:
    # A share that is 0 by construction (Downgrade of a free listener) must be exactly 0 in the sample, too.
    return {name: max(float(np.std([p[name] for p in populations], ddof=1)), 1e-9) for name in populations[0]}


def test_the_sample_could_be_one_of_the_generators_populations(
    sample: Figures, populations: list[Figures], deviation: Figures
) -> None:
    differences = _differences(sample, populations, deviation)
    assert {name: round(z, 1) for name, z in differences.items() if abs(z) > _DEVIATIONS} == {}
    # Were the sample drawn from another distribution, many small differences would add up.
    assert np.sqrt(np.mean(np.square(list(differences.values())))) < 1.6


@pytest.mark.parametrize(
    ("figure", "per_cent"),
    [
        ("share of NextSong among free page views", 3),
        ("share of NextSong among paid page views", 1),
        ("share of Home among free page views", 6),
        ("share of Home among paid page views", 8),
        ("page views per free session", 6),
        ("page views per paid session", 6),
        ("page views per session", 10),
        ("sessions per user", 5),
        ("anonymous share", 8),
        ("auth events per page view", 8),
        ("share of sessions that start on days off", 5),
        ("share of sessions that start from 15 to 18 UTC", 6),
    ],
)
def test_headline_figures_are_within_a_few_per_cent(
    sample: Figures, populations: list[Figures], figure: str, per_cent: float
) -> None:
    mean = np.mean([figures[figure] for figures in populations])
    assert sample[figure] == pytest.approx(mean, rel=per_cent / 100)


def _damping(document: dict[str, Any]) -> None:
    document["damping"] = 0.05


def _weekends(document: dict[str, Any]) -> None:
    document["weekend-damping"] = 0.2


def _rarer_sessions(document: dict[str, Any]) -> None:
    document["beta"] *= 1.2


def _fewer_logins(document: dict[str, Any]) -> None:
    for transition in document["transitions"]:
        if transition["dest"]["page"] == "Login":
            transition["p"] *= 0.5


def _shorter_paid_sessions(document: dict[str, Any]) -> None:
    for transition in document["transitions"]:
        ends = transition["source"], transition["dest"]
        if all(state["page"] == "NextSong" and state["level"] == "paid" for state in ends):
            transition["p"] = 0.90


@pytest.mark.parametrize("change", [_damping, _weekends, _rarer_sessions, _fewer_logins, _shorter_paid_sessions])
def test_a_wrong_configuration_is_found_out(
    change: Callable[[dict[str, Any]], None],
    sample: Figures,
    deviation: Figures,
    frequent_pages: list[str],
    tmp_path: Path,
) -> None:
    document = copy.deepcopy(json.loads(read_bytes(SAMPLE_FOLDER / "eventsim" / "example-config.json.xz")))
    change(document)
    config = tmp_path / "wrong.json"
    config.write_text(json.dumps(document))
    wrong = [_figures(each, frequent_pages) for each in _simulated(config, 4)]
    differences = _differences(sample, wrong, deviation)
    assert max(abs(z) for z in differences.values()) > _DEVIATIONS


def test_a_month_of_70_000_listeners_has_the_real_ones_volume() -> None:
    """The real run, of the same configuration: 64,391 auth events, 4.1 million listens, 4.1 % anonymous page views."""
    run = Run(
        make_plan(
            GeneratorOptions(
                config=SAMPLE_FOLDER / "eventsim" / "example-config.json.xz",
                songs=SAMPLE_FOLDER / "eventsim" / "songs.csv.xz",
                users=70_000,
                growth_rate=0.3,
                start=_START,
                days=30,
                seed=2,
            )
        )
    )
    states = run.simulation.machine.states
    pages = np.array([state.page for state in states])
    anonymous = np.array([state.auth in _ANONYMOUS for state in states])
    views = listens = auths = stale = nobody = 0
    for _, batch in run.batches():
        views += len(batch)
        listens += np.count_nonzero((pages == "NextSong")[batch.state])
        auths += np.count_nonzero(batch.after_login)
        stale += np.count_nonzero(np.isin(pages, ["Login", "Logout"])[batch.state] & batch.after_login)
        nobody += np.count_nonzero(anonymous[batch.state])
    assert auths == pytest.approx(64_391, rel=0.03)
    assert listens == pytest.approx(4_100_000, rel=0.04)
    assert nobody / views == pytest.approx(0.041, abs=0.001)
    assert stale / auths == pytest.approx(2_915 / 64_391, rel=0.06)
