"""A stand-in for Cloud Run Jobs on the loopback: the service's gRPC methods with its own message types.

Google has no emulator of it. Invariants: Google's client speaks to it as to the service (RunJob answers an
operation whose metadata is the execution); what runs the tasks is somebody else's business, the `Executor`'s.
It serves what this project calls, and refuses the rest as unimplemented, as gRPC does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from shared.gcp.cloudrun.messages import (
    Execution,
    JobSpec,
    execution_list,
    execution_message,
    job_list,
    job_message,
    operation_message,
    overridden,
    request_decoder,
    spec_of,
    task_list,
)

LOOPBACK = "127.0.0.1:0"
THREADS = 4


class Executor(Protocol):
    """Keeps Jobs and runs them. Each method raises KeyError for a name that it does not know."""

    def create(self, spec: JobSpec) -> None:
        """Takes a Job, in place of one of that name."""

    def jobs(self) -> Sequence[JobSpec]:
        """All Jobs."""

    def job(self, name: str) -> JobSpec:
        """One Job."""

    def run(self, spec: JobSpec) -> Execution:
        """Starts the tasks of an execution of the Job `spec.name`, as `spec` has them."""

    def executions(self, job: str) -> Sequence[Execution]:
        """The executions of a Job, the newest first."""

    def execution(self, name: str) -> Execution:
        """One execution."""

    def cancel(self, name: str) -> Execution:
        """Ends the tasks of an execution that have not ended."""


class JobsServer:
    """Serves an executor at `host` until it is closed."""

    def __init__(self, executor: Executor) -> None:
        import grpc

        self._server = grpc.server(ThreadPoolExecutor(THREADS))
        self._server.add_generic_rpc_handlers(_handlers(executor))
        self.host = f"127.0.0.1:{self._server.add_insecure_port(LOOPBACK)}"
        self._server.start()

    def close(self) -> None:
        """Takes no more requests, and ends those under way."""
        self._server.stop(None).wait()


def _handlers(executor: Executor) -> tuple[Any, ...]:
    import grpc

    def method(name: str, answer: Callable[[Any], Any]) -> Any:
        def call(request: Any, context: Any) -> Any:
            try:
                found = answer(request)
            except KeyError as error:
                context.abort(grpc.StatusCode.NOT_FOUND, f"{error.args[0]} is not there")
            except ValueError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            return getattr(type(found), "pb", lambda message: message)(found)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=request_decoder(name),
            response_serializer=lambda message: message.SerializeToString(),
        )

    def run(request: Any) -> Any:
        spec = overridden(executor.job(request.name), request.overrides)
        if not 1 <= spec.tasks <= 10_000:
            raise ValueError(f"task_count = {spec.tasks} is not within 1 and 10,000")
        return operation_message(execution_message(executor.run(spec)), done=False)

    def create(request: Any) -> Any:
        spec = spec_of(f"{request.parent}/jobs/{request.job_id}", request.job)
        executor.create(spec)
        return operation_message(job_message(spec), done=True)

    def operation(request: Any) -> Any:
        found = executor.execution(request.name.removeprefix("operations/"))
        return operation_message(execution_message(found), done=found.ended is not None)

    def jobs(request: Any) -> Any:
        return job_list([spec for spec in executor.jobs() if spec.name.startswith(f"{request.parent}/jobs/")])

    def tasks(request: Any) -> Any:
        job, _, name = request.parent.partition("/executions/")
        found = executor.executions(job) if name == "-" else [executor.execution(request.parent)]
        return task_list(found)

    def cancel(request: Any) -> Any:
        return operation_message(execution_message(executor.cancel(request.name)), done=True)

    services: dict[str, dict[str, Callable[[Any], Any]]] = {
        "google.cloud.run.v2.Jobs": {
            "CreateJob": create,
            "GetJob": lambda request: job_message(executor.job(request.name)),
            "ListJobs": jobs,
            "RunJob": run,
        },
        "google.cloud.run.v2.Executions": {
            "GetExecution": lambda request: execution_message(executor.execution(request.name)),
            "ListExecutions": lambda request: execution_list(executor.executions(request.parent)),
            "CancelExecution": cancel,
        },
        "google.cloud.run.v2.Tasks": {"ListTasks": tasks},
        "google.longrunning.Operations": {"GetOperation": operation},
    }
    return tuple(
        grpc.method_handlers_generic_handler(
            service, {name: method(name, answer) for name, answer in methods.items()}
        )
        for service, methods in services.items()
    )
