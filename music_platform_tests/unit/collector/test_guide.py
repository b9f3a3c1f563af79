"""The collector's guide says of each variable what its configuration says."""

from __future__ import annotations

import re

from music_platform.collector import parse_configuration
from music_platform_tests.places import REPOSITORY


def test_the_guide_lists_every_variable_with_its_default() -> None:
    file = REPOSITORY / "fluentd" / "fluent.conf"
    names = ("SHARED_KEY", "METRICS_PORT", "TLS_CERTIFICATE", "TLS_CLIENT_CA")
    switched_on = {f"COLLECTOR_{name}": "1" for name in names}
    variables = parse_configuration(file, {}).variables | parse_configuration(file, switched_on).variables
    text = (REPOSITORY / "docs" / "collecting.md").read_text()
    rows = dict(re.findall(r"^\| `(COLLECTOR_\w+)` \| (\S+|`[^`]*`) \|", text, re.MULTILINE))
    assert rows == {
        name: f"`{variable.default}`" if variable.default else "empty" for name, variable in variables.items()
    }
