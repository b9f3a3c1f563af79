"""The executor of runs: steps that do not depend on each other run at the same time, in threads of the run's own process.

Dagster's in-process executor runs one step at a time; its others start a process for each step, which costs seconds of
imports, an engine and its memory for milliseconds of work. Here the steps share the process and its engine: while one step
plans, sorts or publishes on one core, another uses the others. Dagster's own code executes each step.
"""

from __future__ import annotations

import contextvars
import ctypes
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

import dagster as dg

from music_platform.orchestration.dagster_internals import (
    EngineEventData,
    ExecuteRunWithPlanIterable,
    ExecutionPlan,
    InstanceConcurrencyContext,
    PlanExecutionContext,
    PlanExecutionContextManager,
    PlanOrchestrationContext,
    RetryMode,
    StepExecutionContext,
    create_compute_log_file_key,
    dagster_event_sequence_for_step,
    get_retries_config,
    handle_compute_log_setup_error,
    handle_compute_log_teardown_error,
    pop_captured_interrupt,
    trigger_hook,
)
from music_platform.settings import Settings

_LOOK_SECONDS = 0.2  # between looks for an interrupt, a step's time to be retried, or a free slot of a pool


@dg.executor(
    name="multithread",
    config_schema={
        "retries": get_retries_config(),
        "max_concurrent": dg.Field(dg.Int, description="Steps that run at the same time, at most."),
    },
)
def multithread_executor(context: dg.InitExecutorContext) -> dg.Executor:
    """Runs the steps of a run in threads of its process, several at once."""
    config = context.executor_config
    return MultithreadExecutor(RetryMode.from_config(config["retries"]), config["max_concurrent"])  # pyright: ignore


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """The executor that the settings choose, with at most ``steps_at_once`` steps at once where it can run several."""
    if settings.executor == "in_process":
        return dg.in_process_executor
    executor = multithread_executor
    if settings.executor == "k8s_job":
        from dagster_k8s import k8s_job_executor as executor  # loads the client of Kubernetes, which few need

    return executor.configured({"max_concurrent": settings.steps_at_once})


class MultithreadExecutor(dg.Executor):
    """At most ``max_concurrent`` steps at once; of those that could begin, the one with the highest ``dagster/priority``.

    An interrupt is raised in every step that runs, as ``DagsterExecutionInterruptedError`` like Dagster's own executor does
    it; a step that is waiting inside C code gets it when that call returns.
    """

    def __init__(self, retries: RetryMode, max_concurrent: int) -> None:
        self._retries = retries
        self._max_concurrent = max_concurrent

    @property
    def retries(self) -> RetryMode:
        return self._retries

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        process = EngineEventData.in_process(os.getpid(), execution_plan.step_keys_to_execute)
        yield dg.DagsterEvent.engine_event(
            plan_context, f"Executing at most {self._max_concurrent} steps at once (pid: {os.getpid()})", process
        )
        yield from ExecuteRunWithPlanIterable(
            execution_plan=plan_context.execution_plan,
            iterator=self._execute_steps,
            execution_context_manager=PlanExecutionContextManager(
                job=plan_context.job,
                retry_mode=plan_context.retry_mode,
                execution_plan=plan_context.execution_plan,
                run_config=plan_context.run_config,
                dagster_run=plan_context.dagster_run,
                instance=plan_context.instance,
                raise_on_error=plan_context.raise_on_error,
                output_capture=plan_context.output_capture,
                step_dependency_config=self.step_dependency_config,
            ),
        )
        yield dg.DagsterEvent.engine_event(plan_context, f"Finished steps (pid: {os.getpid()})", process)

    def _execute_steps(
        self, job_context: PlanExecutionContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        with (
            InstanceConcurrencyContext(job_context.instance, job_context.dagster_run) as slots,
            execution_plan.start(
                retry_mode=job_context.retry_mode,
                max_concurrent=self._max_concurrent,
                instance_concurrency_context=slots,
                step_dependency_config=job_context.step_dependency_config,
            ) as active,
            ExitStack() as capture,
            _RunningSteps() as steps,
        ):
            yield from _capture_output(job_context, execution_plan, capture)
            while steps.are_left or not active.is_complete:  # hooks and exceptions follow a step's last event
                if active.check_for_interrupts():
                    active.mark_interrupted()
                    yield from steps.interrupt()
                    raise dg.DagsterExecutionInterruptedError
                for step in active.get_steps_to_execute():
                    steps.begin(job_context.for_step(step, active.get_known_state()))
                yield from active.concurrency_event_iterator(job_context)
                for news in steps.news():
                    if isinstance(news, dg.DagsterEvent):
                        yield news
                        active.handle_event(news)
                    else:
                        steps.end(news)
                        active.verify_complete(job_context, news.step_key)
                yield from active.plan_events_iterator(job_context)
            try:
                capture.close()
            except Exception:  # noqa: BLE001 - as in _capture_output
                yield from handle_compute_log_teardown_error(job_context, sys.exc_info())


def _capture_output(
    job_context: PlanExecutionContext, execution_plan: ExecutionPlan, capture: ExitStack
) -> Iterator[dg.DagsterEvent]:
    """From here on the process's output goes into the run's log, which the steps share."""
    manager = job_context.instance.compute_log_manager
    log_key = manager.build_log_key_for_run(job_context.run_id, create_compute_log_file_key())
    steps = [step.key for step in execution_plan.get_steps_to_execute_in_topo_order()]
    try:
        with without_interrupts():
            captured = capture.enter_context(manager.capture_logs(log_key))
    except Exception:  # noqa: BLE001 - a run does not fail because its log cannot be kept
        yield from handle_compute_log_setup_error(job_context, sys.exc_info())
    else:
        yield dg.DagsterEvent.capture_logs(job_context, steps, log_key, captured)


@contextmanager
def without_interrupts() -> Generator[None]:
    """Processes that start here get no Ctrl-C: those by which Dagster mirrors the output would print a traceback of it."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@dataclass(frozen=True)
class _Ended:
    """A step's thread has ended; ``error`` is an unexpected exception. A step that failed normally has none."""

    step_key: str
    error: BaseException | None


class _RunningSteps:
    """The steps that run, each in a thread of its own; a context that ends when the last of them has.

    An error that leaves the context interrupts them.
    """

    def __init__(self) -> None:
        self._threads: dict[str, Thread] = {}
        self._news: SimpleQueue[dg.DagsterEvent | _Ended] = SimpleQueue()

    def __enter__(self) -> _RunningSteps:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None:
            self._raise_interrupts()
        for thread in self._threads.values():
            thread.join()

    @property
    def are_left(self) -> bool:
        """Whether the end of a step that began is still to be handled."""
        return bool(self._threads)

    def begin(self, step: StepExecutionContext) -> None:
        thread = Thread(target=contextvars.copy_context().run, args=(self._run, step), name=step.step.key)
        self._threads[step.step.key] = thread
        thread.start()

    def _run(self, step: StepExecutionContext) -> None:
        events: list[dg.DagsterEvent] = []
        error = None
        try:
            for event in dagster_event_sequence_for_step(step):
                events.append(event)
                self._news.put(event)
            for event in trigger_hook(step, events):
                self._news.put(event)
        except BaseException as raised:  # noqa: BLE001 - the thread of the run raises it again
            error = raised
        self._news.put(_Ended(step.step.key, error))

    def news(self) -> Iterator[dg.DagsterEvent | _Ended]:
        """The steps' events since the last call; waits a moment when none is new."""
        try:
            yield self._news.get(timeout=_LOOK_SECONDS)
            while True:
                yield self._news.get_nowait()
        except Empty:
            return

    def end(self, ended: _Ended) -> None:
        """Raises what the step's thread raised."""
        self._threads.pop(ended.step_key).join()
        if ended.error is not None:
            raise ended.error

    def interrupt(self) -> Iterator[dg.DagsterEvent]:
        """Raise ``DagsterExecutionInterruptedError`` in each step that runs; yields their events until the last has ended."""
        self._raise_interrupts()
        while any(thread.is_alive() for thread in self._threads.values()):
            if pop_captured_interrupt():
                self._raise_interrupts()
            yield from (news for news in self.news() if isinstance(news, dg.DagsterEvent))

    def _raise_interrupts(self) -> None:
        for thread in self._threads.values():
            if thread.is_alive():
                # The only way to raise in another thread. Source: https://docs.python.org/3/c-api/threads.html
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread.ident or 0), ctypes.py_object(dg.DagsterExecutionInterruptedError)
                )
