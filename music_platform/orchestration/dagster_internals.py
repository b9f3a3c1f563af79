"""What the platform uses of Dagster's private modules: the only imports that a new release of Dagster can break.

The releases of Dagster are pinned in pyproject.toml. A test compares these names with the pinned release.
"""

from __future__ import annotations

from dagster._core.asset_graph_view.entity_subset import EntitySubset
from dagster._core.asset_graph_view.timing_metadata import TimingMetadata
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.errors import DagsterHomeNotSetError, DagsterUserCodeUnreachableError
from dagster._core.events import EngineEventData, RunFailureReason
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.compute_logs import create_compute_log_file_key
from dagster._core.execution.context.system import PlanExecutionContext, PlanOrchestrationContext, StepExecutionContext
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.plan import execute_plan
from dagster._core.execution.plan.execute_plan import dagster_event_sequence_for_step
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode, get_retries_config
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    PRIORITY_TAG,
    RUN_KEY_TAG,
    WILL_RETRY_TAG,
)
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget, WorkspaceLoadTarget
from dagster._daemon.controller import get_daemon_statuses
from dagster._daemon.types import DaemonStatus
from dagster._grpc.client import DagsterGrpcClient
from dagster._record import copy
from dagster._serdes import ConfigurableClassData
from dagster._time import get_current_datetime
from dagster._utils.interrupts import capture_interrupts, pop_captured_interrupt

__all__ = [
    "ASSET_PARTITION_RANGE_END_TAG",
    "ASSET_PARTITION_RANGE_START_TAG",
    "FINISHED_STATUSES",
    "NOT_FINISHED_STATUSES",
    "PARTITION_NAME_TAG",
    "PRIORITY_TAG",
    "RUN_KEY_TAG",
    "SQLITE_BUSY_TIMEOUT_SECONDS",
    "WILL_RETRY_TAG",
    "AssetCheckExecutionRecord",
    "AssetCheckExecutionRecordStatus",
    "AssetKeyPartitionKey",
    "ComputeIOType",
    "ConfigurableClassData",
    "DaemonStatus",
    "DagsterGrpcClient",
    "DagsterHomeNotSetError",
    "DagsterUserCodeUnreachableError",
    "EngineEventData",
    "EntitySubset",
    "ExecuteRunWithPlanIterable",
    "ExecutionPlan",
    "InstanceConcurrencyContext",
    "InstigatorState",
    "InstigatorTick",
    "ModuleTarget",
    "PlanExecutionContext",
    "PlanExecutionContextManager",
    "PlanOrchestrationContext",
    "RetryMode",
    "RunFailureReason",
    "SensorExecutionData",
    "SqliteEventLogStorage",
    "StepExecutionContext",
    "TimingMetadata",
    "WorkspaceFileTarget",
    "WorkspaceLoadTarget",
    "WorkspaceProcessContext",
    "capture_interrupts",
    "copy",
    "create_compute_log_file_key",
    "dagster_event_sequence_for_step",
    "get_and_update_asset_status_cache_value",
    "get_current_datetime",
    "get_daemon_statuses",
    "get_retries_config",
    "handle_compute_log_setup_error",
    "handle_compute_log_teardown_error",
    "pop_captured_interrupt",
    "trigger_hook",
]

# What a step does beside its events; private by name as well, and without a public counterpart.
handle_compute_log_setup_error = execute_plan._handle_compute_log_setup_error  # pyright: ignore[reportPrivateUsage]
handle_compute_log_teardown_error = execute_plan._handle_compute_log_teardown_error  # pyright: ignore[reportPrivateUsage]
trigger_hook = execute_plan._trigger_hook  # pyright: ignore[reportPrivateUsage]
