"""The executor of several steps at once: order, limits, failures, retries, hooks and interrupts, on jobs of small ops."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
import pytest
from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager

from music_platform.orchestration import executor
from music_platform.orchestration.dagster_internals import StepExecutionContext, dagster_event_sequence_for_step
from music_platform.orchestration.executor import multithread_executor

_WAIT_SECONDS = 20
_LATE_SECONDS = 1.0  # longer than the executor waits for news of its steps
_MEETING = threading.Barrier(2)


class Happened:
    """What the ops of a test did, which run in threads of this process."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.at_once: list[int] = []
        self.hooks: list[str] = []
        self._running = 0
        self._lock = threading.Lock()

    def work(self, name: str) -> None:
        with self._lock:
            self.begun.append(name)
            self._running += 1
            self.at_once.append(self._running)
        time.sleep(0.05)
        with self._lock:
            self._running -= 1


happened = Happened()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    global happened
    happened = Happened()
    _MEETING.reset()
    with dg.instance_for_test() as instance:
        yield instance


def run(
    job: dg.JobDefinition, instance: dg.DagsterInstance, *, at_once: int = 2, raise_on_error: bool = False
) -> dg.JobExecutionResult:
    return dg.execute_job(
        dg.reconstructable(job),  # pyright: ignore[reportArgumentType]
        instance,
        run_config={"execution": {"config": {"max_concurrent": at_once}}},
        raise_on_error=raise_on_error,
    )


def wait_for_an_interrupt() -> None:
    ends = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < ends:
        time.sleep(0.01)
    happened.work("was never interrupted")


def steps_that(result: dg.JobExecutionResult, event_type: dg.DagsterEventType) -> set[str | None]:
    return {event.step_key for event in result.all_events if event.event_type is event_type}


@dg.op
def meets_one() -> int:
    _MEETING.wait(_WAIT_SECONDS)
    return 1


@dg.op
def meets_another() -> int:
    _MEETING.wait(_WAIT_SECONDS)
    return 2


@dg.op
def adds(one: int, another: int) -> int:
    return one + another


@dg.job(executor_def=multithread_executor)
def meeting() -> None:
    adds(meets_one(), meets_another())


def test_steps_that_do_not_depend_on_each_other_run_at_the_same_time(instance: dg.DagsterInstance) -> None:
    with run(meeting, instance) as result:
        assert result.success
        assert result.output_for_node("adds") == 3
    [captured] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.LOGS_CAPTURED]
    assert set(captured.logs_captured_data.step_keys or []) == {"meets_one", "meets_another", "adds"}
    recorded = [record.event_log_entry.dagster_event for record in instance.get_records_for_run(result.run_id).records]
    assert [event.event_type for event in recorded if event].count(dg.DagsterEventType.STEP_SUCCESS) == 3


def works(name: str, priority: int) -> dg.OpDefinition:
    @dg.op(name=name, tags={"dagster/priority": str(priority)})
    def work() -> None:
        happened.work(name)

    return work


@dg.job(executor_def=multithread_executor)
def crowd() -> None:
    for priority in range(8):
        works(f"priority_{priority}", priority)()


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_steps_than_allowed_and_the_important_ones_first(instance: dg.DagsterInstance, at_once: int) -> None:
    with run(crowd, instance, at_once=at_once) as result:
        assert result.success
    assert max(happened.at_once) == at_once
    by_priority = [f"priority_{priority}" for priority in reversed(range(8))]
    assert set(happened.begun[:at_once]) == set(by_priority[:at_once])
    if at_once == 1:
        assert happened.begun == by_priority


@dg.success_hook
def succeeded(context: dg.HookContext) -> None:
    happened.hooks.append(f"{context.step_key} succeeded")


@dg.failure_hook
def failed(context: dg.HookContext) -> None:
    happened.hooks.append(f"{context.step_key} failed")


@dg.op
def fails() -> int:
    raise ValueError("the rows are gone")


@dg.op
def goes_on() -> int:
    return 1


@dg.op(out=dg.Out(is_required=False))
def gives_nothing() -> Iterator[dg.Output[int]]:
    yield from ()


@dg.op
def takes(value: int) -> int:
    return value


@dg.job(executor_def=multithread_executor, hooks={succeeded, failed})
def failing() -> None:
    takes.alias("never")(fails())
    takes.alias("reached")(goes_on())
    takes.alias("skipped")(gives_nothing())


def test_a_failure_ends_what_depends_on_it_and_nothing_else(instance: dg.DagsterInstance) -> None:
    with run(failing, instance) as result:
        assert not result.success
    assert steps_that(result, dg.DagsterEventType.STEP_FAILURE) == {"fails"}
    assert steps_that(result, dg.DagsterEventType.STEP_SUCCESS) == {"goes_on", "reached", "gives_nothing"}
    assert steps_that(result, dg.DagsterEventType.STEP_SKIPPED) == {"skipped"}
    assert steps_that(result, dg.DagsterEventType.STEP_START) == {"fails", "goes_on", "reached", "gives_nothing"}
    assert sorted(happened.hooks) == [
        "fails failed",
        "gives_nothing succeeded",
        "goes_on succeeded",
        "reached succeeded",
    ]


@dg.op
def fails_in_company() -> None:
    _MEETING.wait(_WAIT_SECONDS)
    raise ValueError("the rows are gone")


@dg.op
def goes_on_for_long() -> None:
    _MEETING.wait(_WAIT_SECONDS)
    wait_for_an_interrupt()


@dg.job(executor_def=multithread_executor)
def failing_in_company() -> None:
    fails_in_company()
    goes_on_for_long()


def test_an_error_is_raised_to_who_wants_it_and_ends_the_other_steps(instance: dg.DagsterInstance) -> None:
    with pytest.raises(ValueError, match="the rows are gone"):
        run(failing_in_company, instance, raise_on_error=True)
    assert happened.begun == []
    assert not [thread for thread in threading.enumerate() if thread.name == "goes_on_for_long"]


@dg.success_hook
def takes_its_time(_context: dg.HookContext) -> None:
    time.sleep(_LATE_SECONDS)


@dg.job(executor_def=multithread_executor, hooks={takes_its_time})
def with_a_slow_hook() -> None:
    goes_on()


def test_a_hook_of_the_last_step_is_waited_for(instance: dg.DagsterInstance) -> None:
    with run(with_a_slow_hook, instance) as result:
        assert result.success
    assert steps_that(result, dg.DagsterEventType.HOOK_COMPLETED) == {"goes_on"}


@dg.job(executor_def=multithread_executor)
def failing_alone() -> None:
    fails()


def test_an_error_that_comes_late_after_the_last_event_is_raised(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events_and_a_late_error(step: StepExecutionContext) -> Iterator[dg.DagsterEvent]:
        try:
            yield from dagster_event_sequence_for_step(step)
        except ValueError:
            time.sleep(_LATE_SECONDS)
            raise

    monkeypatch.setattr(executor, "dagster_event_sequence_for_step", events_and_a_late_error)
    with pytest.raises(ValueError, match="the rows are gone"):
        run(failing_alone, instance, raise_on_error=True)


@dg.op(retry_policy=dg.RetryPolicy(max_retries=2, delay=0.3))
def succeeds_in_the_end() -> None:
    happened.work("attempt")
    if happened.begun.count("attempt") < 3:
        raise ValueError("not yet")


@dg.job(executor_def=multithread_executor)
def retried() -> None:
    succeeds_in_the_end()
    works("beside_it", 0)()


def test_a_step_is_retried_while_others_run(instance: dg.DagsterInstance) -> None:
    with run(retried, instance) as result:
        assert result.success
    assert happened.begun.count("attempt") == 3
    assert steps_that(result, dg.DagsterEventType.STEP_UP_FOR_RETRY) == {"succeeds_in_the_end"}


@dg.op
def is_interrupted() -> None:
    _MEETING.wait(_WAIT_SECONDS)
    wait_for_an_interrupt()


@dg.op
def interrupts() -> None:
    _MEETING.wait(_WAIT_SECONDS)
    os.kill(os.getpid(), signal.SIGINT)
    wait_for_an_interrupt()


@dg.op(ins={"after": dg.In(dg.Nothing)})
def comes_later() -> None:
    happened.work("came later")


@dg.job(executor_def=multithread_executor)
def interrupted() -> None:
    comes_later(after=[is_interrupted(), interrupts()])


def test_an_interrupt_ends_every_step_that_runs(instance: dg.DagsterInstance) -> None:
    with run(interrupted, instance) as result:
        assert not result.success
    assert happened.begun == []
    errors = {
        event.step_key: event.step_failure_data.error_source
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.STEP_FAILURE
    }
    assert {key: str(source and source.name) for key, source in errors.items()} == {
        "is_interrupted": "INTERRUPT",
        "interrupts": "INTERRUPT",
    }
    assert not [thread for thread in threading.enumerate() if thread.name in errors]
    [end] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.RUN_FAILURE]
    assert "interrupted unexpectedly" in (end.message or "")


class LogsNotBegun(NoOpComputeLogManager):
    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext]:
        raise OSError("no room for logs")
        yield CapturedLogContext(list(log_key))


class LogsNotKept(NoOpComputeLogManager):
    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext]:
        yield CapturedLogContext(list(log_key))
        raise OSError("no room for logs")


@pytest.mark.parametrize("manager", [LogsNotBegun, LogsNotKept])
def test_a_run_does_not_fail_because_its_log_is_not_kept(manager: type[NoOpComputeLogManager]) -> None:
    overrides = {"compute_logs": {"module": __name__, "class": manager.__name__}}
    with dg.instance_for_test(overrides=overrides) as instance, run(retried, instance) as result:
        assert result.success
    told = [event for event in result.all_events if event.event_type is dg.DagsterEventType.ENGINE_EVENT]
    assert any("no room for logs" in str(event.engine_event_data.error) for event in told)
