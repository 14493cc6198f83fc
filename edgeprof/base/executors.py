"""Where bulk work of the host runs: this process, processes of this machine, or a Dask cluster.

Owns: the choice, and what their failures are called. The latter two are
``concurrent.futures.Executor``: whoever has work to spread submits it and need not know.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from edgeprof.base.errors import ClusterUnreachable, WorkerLost
from edgeprof.base.extras import optional
from edgeprof.base.text import reason_of

CONNECT_DEADLINE_S = 20.0
WORKERS_DEADLINE_S = 60.0
"""Workers may have been started together with the scheduler."""
EXPORTS_WORTH_A_POOL = 300
"""Models or blocks, at a few hundredths of a second each."""
FITS_WORTH_A_POOL = 4
"""Predictors to be fitted, at some seconds each."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Result = TypeVar("Result")


@contextmanager
def open_executor(workers: int | None = None, *, dask: str | None = None) -> Iterator[Executor]:
    """Open an executor for functions that can be pickled.

    Args:
        workers: processes on this machine; ``None`` for one per core.
        dask: address of a Dask scheduler, to use its workers instead.

    Raises:
        MissingDependency: Dask's ``distributed`` is not installed.
        ClusterUnreachable: no scheduler at that address, or it has no workers or was lost.
        WorkerLost: a process died at its work.
    """
    if dask is not None:
        with _open_dask(dask) as executor:
            yield executor
        return
    # Not fork: this process may have threads (an event loop, a runtime).
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, context, initializer=_use_one_thread) as pool:
            yield pool
    except BrokenExecutor as error:
        raise WorkerLost(
            "a process that did a part of the work died, probably for want of memory; "
            "take fewer (--jobs)"
        ) from error


def bulk_executor(
    n_items: int, worth: int, *, jobs: int | None = None, dask: str | None = None
) -> AbstractContextManager[Executor | None]:
    """Open what was asked for; else a pool of this machine's processes where it pays.

    Args:
        n_items: to be done.
        worth: so many pay for starting a pool, which takes a second or two.
        jobs: processes that the user asked for, if he did.
        dask: address of the Dask scheduler that he asked for, if he did.

    Returns:
        A context manager of the executor, or of ``None``: the work is best done in this process.
    """
    if dask is None and (n_items < worth if jobs is None else jobs == 1):
        return nullcontext()
    return open_executor(jobs, dask=dask)


def map_through(
    executor: Executor | None, function: Callable[..., Result], *arguments: Iterable[Any]
) -> Iterator[Result]:
    """Apply a function as ``map`` does: through the executor, or here where there is none."""
    return map(function, *arguments) if executor is None else executor.map(function, *arguments)


def _use_one_thread() -> None:
    """Leave the cores to the other processes; before NumPy is loaded, which reads this once."""
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")


@contextmanager
def _open_dask(address: str) -> Iterator[Executor]:
    with open_client(address) as client:
        from distributed import KilledWorker

        try:
            client.wait_for_workers(1, timeout=WORKERS_DEADLINE_S)
        except TimeoutError as error:
            raise ClusterUnreachable(
                f"the Dask scheduler {address} has no workers; start one: dask worker {address}",
                address=address,
            ) from error
        try:
            yield client.get_executor(pure=False)
        except KilledWorker as error:
            raise WorkerLost(f"workers of the Dask scheduler {address} died: {error}") from error
        except CancelledError as error:
            raise ClusterUnreachable(
                f"the Dask scheduler {address} was lost", address=address
            ) from error


@contextmanager
def open_client(address: str) -> Iterator[Any]:
    """Connect to a Dask scheduler; see :func:`open_executor`."""
    with optional("--dask"):
        from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_DEADLINE_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterUnreachable(
            f"no Dask scheduler answers at {address}: {reason_of(error)}", address=address
        ) from error
    with client:
        yield client
