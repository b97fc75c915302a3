"""Cloud Run's messages of Jobs and executions, to and from plain values: what the stand-in speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class JobSpec:
    """A Job: arguments and variables of its container, tasks of an execution, retries of a task."""

    name: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    tasks: int = 1
    max_retries: int = 3


@dataclass(frozen=True)
class Execution:
    """How far an execution is; `created` and `ended` in seconds since 1970, and `ends` when each task that has
    ended did, by its index."""

    name: str
    job: str
    tasks: int
    created: float
    ended: float | None = None
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    ends: Mapping[int, float] = field(default_factory=dict)


def spec_of(name: str, job: Any) -> JobSpec:
    task = job.template.template
    if len(task.containers) != 1:
        raise ValueError(f"{name} has {len(task.containers)} containers, not one")
    (container,) = task.containers
    env = {variable.name: variable.value for variable in container.env}
    return JobSpec(name, tuple(container.args), env, job.template.task_count or 1, task.max_retries)


def overridden(spec: JobSpec, overrides: Any) -> JobSpec:
    args, env = spec.args, dict(spec.env)
    for container in overrides.container_overrides:
        args = () if container.clear_args else tuple(container.args) or args
        env |= {variable.name: variable.value for variable in container.env}
    return JobSpec(spec.name, args, env, overrides.task_count or spec.tasks, spec.max_retries)


def job_message(spec: JobSpec) -> Any:
    from google.cloud.run_v2 import types

    env = [{"name": name, "value": value} for name, value in spec.env.items()]
    container = {"args": list(spec.args), "env": env}
    template = {"containers": [container], "max_retries": spec.max_retries}
    return types.Job(name=spec.name, template={"task_count": spec.tasks, "template": template})


def execution_message(found: Execution) -> Any:
    from google.cloud.run_v2 import types

    return types.Execution(
        name=found.name,
        job=found.job,
        task_count=found.tasks,
        create_time=_time(found.created),
        completion_time=None if found.ended is None else _time(found.ended),
        running_count=found.running,
        succeeded_count=found.succeeded,
        failed_count=found.failed,
        cancelled_count=found.cancelled,
        retried_count=found.retried,
    )


def _time(seconds: float) -> Any:
    from google.protobuf.timestamp_pb2 import Timestamp

    return Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))


def operation_message(result: Any, done: bool) -> Any:
    """The long-running operation of a Job or an execution; its name is the result's, so it can be asked for."""
    from google.longrunning.operations_pb2 import Operation
    from google.protobuf.any_pb2 import Any as Packed

    packed = Packed()
    packed.Pack(type(result).pb(result))
    operation = Operation(name=f"operations/{result.name}", metadata=packed, done=done)
    if done:
        operation.response.CopyFrom(packed)
    return operation


def job_list(specs: Iterable[JobSpec]) -> Any:
    """The answer of ListJobs."""
    from google.cloud.run_v2 import types

    return types.ListJobsResponse(jobs=list(map(job_message, specs)))


def execution_list(executions: Iterable[Execution]) -> Any:
    """The answer of ListExecutions."""
    from google.cloud.run_v2 import types

    return types.ListExecutionsResponse(executions=list(map(execution_message, executions)))


def task_list(executions: Iterable[Execution]) -> Any:
    """The answer of ListTasks: every task of some executions, which all began with theirs."""
    from google.cloud.run_v2 import types

    return types.ListTasksResponse(
        tasks=[
            types.Task(
                name=f"{found.name}/tasks/{found.name.rpartition('/')[2]}-task{index}",
                index=index,
                start_time=_time(found.created),
                completion_time=_time(found.ends[index]) if index in found.ends else None,
            )
            for found in executions
            for index in range(found.tasks)
        ]
    )


def request_decoder(method: str) -> Callable[[bytes], Any]:
    """What makes the request of a method, such as RunJob, out of its bytes."""
    from google.cloud.run_v2 import types
    from google.longrunning import operations_pb2

    if method == "GetOperation":
        decode: Callable[[bytes], Any] = operations_pb2.GetOperationRequest.FromString
        return decode
    decode = getattr(types, f"{method}Request").deserialize
    return decode
