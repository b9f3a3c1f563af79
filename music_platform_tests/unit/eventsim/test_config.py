"""Eventsim's configuration format: what loads, what is refused, and how errors read."""

import contextlib
import copy
import gzip
import json
import lzma
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_platform.eventsim.config import ListenerConfig, load_config, parse_config
from music_platform.eventsim.errors import GeneratorConfigError
from music_platform_tests.places import SAMPLE_FOLDER

_OWN = json.loads(resources.files("music_platform.eventsim").joinpath("data/listeners.json").read_bytes())


def _own_with(**changes: Any) -> bytes:
    document = copy.deepcopy(_OWN)
    document.update({key.replace("_", "-"): value for key, value in changes.items()})
    return json.dumps(document).encode()


def test_the_projects_own_configuration_loads() -> None:
    config = load_config()
    assert {state.page for state in config.states} >= {"NextSong", "Login", "Submit Upgrade", "Submit Downgrade"}
    assert config.churned_state == "Cancelled"
    assert (config.alpha, config.session_gap) == (75.0, 1800)


def test_eventsims_own_example_loads_as_it_is() -> None:
    config = load_config(SAMPLE_FOLDER / "eventsim" / "example-config.json.xz")
    assert sum(len(following) for following in config.transitions.values()) == 198
    assert sum(len(weights) for weights in config.new_session.values()) == 25
    assert (config.alpha, config.beta, config.weekend_damping_offset) == (90.0, 604_800.0, 180)


@pytest.mark.parametrize(("suffix", "compress"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_files_are_the_same_configuration(tmp_path: Path, suffix: str, compress: Any) -> None:
    path = tmp_path / f"listeners.json{suffix}"
    path.write_bytes(compress(json.dumps(_OWN).encode()))
    assert load_config(path) == load_config()


@pytest.mark.parametrize("content", [b"\x1f\x8b broken", b"\xfd7zXZ\x00 broken", b"{", b"[]", b"\xff\xfe\x00", b""])
def test_a_broken_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(GeneratorConfigError, match=r"broken\.json"):
        load_config(path)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(GeneratorConfigError, match=r"nowhere\.json: No such file.*--config"):
        load_config(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 0}, '"alpha" must be a number'),
        ({"alpha": "90"}, '"alpha" must be a number'),
        ({"damping": 1.5}, '"damping" must be a number'),
        ({"tag": 7}, '"tag" must be a string'),
        ({"transitions": []}, '"transitions" is missing or empty'),
        ({"transitions": {}}, '"transitions" must be a list'),
        ({"new_session": []}, '"new-session" has no entry for'),
        ({"levels": []}, '"levels" needs at least one entry'),
        ({"show_user_details": []}, "says nothing of the auth status"),
    ],
)
def test_an_entry_at_fault_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GeneratorConfigError, match=message):
        parse_config(_own_with(**changes), "test.json")


def test_transitions_that_exceed_1_are_refused() -> None:
    transitions = copy.deepcopy(_OWN["transitions"])
    transitions[0]["p"] = 0.99
    with pytest.raises(GeneratorConfigError, match=r"the transitions from Home \(Guest, free\) exceed 1"):
        parse_config(_own_with(transitions=transitions), "test.json")


def test_a_session_that_never_ends_is_refused() -> None:
    state = {"page": "Home", "method": "GET", "status": 200, "auth": "Guest", "level": "free"}
    document = {
        "transitions": [{"source": state, "dest": state, "p": 1}],
        "new-session": [{**state, "weight": 1}],
        "show-user-details": [{"auth": "Guest", "show": False}],
        "levels": [{"level": "free", "weight": 1}],
        "auths": [{"auth": "Guest", "weight": 1}],
    }
    with pytest.raises(GeneratorConfigError, match="never ends"):
        parse_config(json.dumps(document), "test.json")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(key=st.sampled_from(sorted(_OWN)), value=_JSON)
def test_any_value_of_any_entry_loads_or_is_a_clear_error(key: str, value: Any) -> None:
    content = json.dumps({**_OWN, key: value})
    # Any other exception fails the test.
    with contextlib.suppress(GeneratorConfigError):
        assert isinstance(parse_config(content, "test.json"), ListenerConfig)


@given(content=st.binary(max_size=50))
def test_any_bytes_are_a_clear_error(content: bytes) -> None:
    with pytest.raises(GeneratorConfigError, match=r"test\.json"):
        parse_config(content, "test.json")
