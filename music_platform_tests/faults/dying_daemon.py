"""Dagster's daemon, which kills itself (SIGKILL) at a moment of a tick of the landing sensor. All else is Dagster's own.

python dying_daemon.py MOMENT [OPTION of `dagster-daemon run`...]
"""

from __future__ import annotations

import os
import signal
import sys
from enum import StrEnum
from typing import Any

from dagster._core.scheduler.instigation import TickStatus
from dagster._daemon.cli import cli
from dagster._daemon.sensor import SensorLaunchContext

from music_platform.orchestration.automation.landing_sensor import SENSOR_NAME


class Moment(StrEnum):
    """How far a tick got that requests runs."""

    LISTED = "landing is listed, and no request is recorded"
    RECORDED = "requests and cursor are recorded with the tick, and no run is submitted"
    SUBMITTED = "the runs are submitted, and the sensor's cursor is the old one"


class _DyingContext(SensorLaunchContext):
    moment: Moment

    def set_run_requests(self, *arguments: Any, **named: Any) -> None:
        self._die_at(Moment.LISTED)
        super().set_run_requests(*arguments, **named)
        self._die_at(Moment.RECORDED)

    def update_state(self, status: TickStatus, **named: object) -> None:
        if status is TickStatus.SUCCESS:
            self._die_at(Moment.SUBMITTED)
        super().update_state(status, **named)

    def _die_at(self, moment: Moment) -> None:
        if moment is self.moment and self._remote_sensor.name == SENSOR_NAME:
            os.kill(os.getpid(), signal.SIGKILL)


def main(moment: str, *options: str) -> None:
    import dagster._daemon.sensor as daemon

    _DyingContext.moment = Moment[moment]
    daemon.SensorLaunchContext = _DyingContext
    cli(["run", *options])


if __name__ == "__main__":
    main(*sys.argv[1:])
