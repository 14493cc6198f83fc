"""Where bulk work of the host runs: processes of this machine, or a Dask cluster.

Owns: the choice. Both are ``concurrent.futures.Executor``: whoever has work to spread submits it
and need not know.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from edgeprof.errors import ClusterUnreachable, MissingDependency

CONNECT_DEADLINE_S = 20.0
_WORTH_A_POOL = 300


@contextmanager
def open_executor(workers: int | None = None, *, dask: str | None = None) -> Iterator[Executor]:
    """Open an executor for functions that can be pickled.

    Args:
        workers: processes on this machine; ``None`` for one per core.
        dask: address of a Dask scheduler, to use its workers instead.

    Raises:
        MissingDependency: Dask's ``distributed`` is not installed.
        ClusterUnreachable: no scheduler at that address.
    """
    if dask is not None:
        with open_client(dask) as client:
            yield client.get_executor(pure=False)
        return
    # Not fork: this process may have threads (an event loop, a runtime).
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield pool


def bulk_executor(n_items: int) -> AbstractContextManager[Executor | None]:
    """Open a pool of this machine's processes where so many items pay for starting it.

    Returns:
        A context manager of the pool, or of ``None``: the work is best done in this process.
    """
    return open_executor() if n_items >= _WORTH_A_POOL else nullcontext()


@contextmanager
def open_client(address: str) -> Iterator[Any]:
    """Connect to a Dask scheduler; see :func:`open_executor`."""
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependency(
            "--dask needs Dask's distributed: pip install 'edgeprof[dask]'"
        ) from error
    try:
        client = Client(address, timeout=CONNECT_DEADLINE_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterUnreachable(
            f"no Dask scheduler answers at {address}: {error}", address=address
        ) from error
    with client:
        yield client
