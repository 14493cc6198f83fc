"""Every exception that edgeprof raises on purpose.

::

    EdgeprofError
      TransientError            a retry is reasonable
        BoardBusy               another process measures on the board
        BoardUnreachable        no connection, or it was lost
        ClusterUnreachable      no scheduler of a cluster answers
        HarnessTimeout          the harness did not answer in time
        UnsteadyMeasurement     drift or disturbance beyond the threshold
        WorkerLost              a process that did a part of the host's work died
      StableError               a retry will not help
        BoardSetupError         the board cannot be used as it is
        DatasetError            rows that cannot be learned from
        HarnessCrashed          the harness or a runtime died (signal, exit status)
        InfeasibleBudget        no subnet of the space meets the budget
        InvalidJob              options that no measurement can be run with
        InvalidModel            no model file, truncated, dynamic shapes
        InvalidRecord           a record of another form or version
        InvalidSubnet           not a subnet of the space
        InventoryError          no list of boards, or a malformed one
        LookupTableError        a missing key, an unknown grammar
        MissingDependency       an optional package is not installed
        MixedMachineState       measurements that must not be pooled
        OutputError             the result cannot be written
        PredictorFormatError    no predictor file, or of another version or space
        RuntimeUnavailable      no inference runtime found, or it cannot be opened
        SearchError             options or models that no search can run with
        StoreError              no store, foreign or unreadable
        ToolchainError          a compiler or its output is not what is needed
        UnsupportedModel        an operator or a type the runtime or predictor lacks

A message says what, where, what was found and wanted, and the remedy. The evidence stands in
fields: pass it as keyword arguments.
"""

from __future__ import annotations


class EdgeprofError(Exception):
    """Base of all errors a user may meet.

    >>> import edgeprof
    >>> try:
    ...     edgeprof.get_space("no-such-space")
    ... except edgeprof.EdgeprofError as error:
    ...     print(error.kind)
    InvalidSubnet

    Args:
        message: one line: what, where, observed and wanted, remedy.
        evidence: named facts (board, command, exit status, stderr ...), kept in ``evidence``.
    """

    def __init__(self, message: str, **evidence: object) -> None:
        super().__init__(message)
        self.evidence: dict[str, object] = evidence

    @property
    def kind(self) -> str:
        """Name of the error's type, as it stands in records and JSON output."""
        return type(self).__name__


class TransientError(EdgeprofError):
    """A retry is reasonable."""


class StableError(EdgeprofError):
    """A retry will not help."""


class BoardBusy(TransientError):
    """Another process measures on the board."""


class BoardUnreachable(TransientError):
    """No connection, or it was lost."""


class ClusterUnreachable(TransientError):
    """No scheduler of a cluster answers."""


class HarnessTimeout(TransientError):
    """The harness did not answer in time."""


class UnsteadyMeasurement(TransientError):
    """Drift or disturbance beyond the threshold."""


class WorkerLost(TransientError):
    """A process that did a part of the host's work died."""


class BoardSetupError(StableError):
    """The board cannot be used as it is."""


class DatasetError(StableError):
    """Rows that cannot be learned from."""


class HarnessCrashed(StableError):
    """The harness or a runtime died (signal, exit status)."""


class InfeasibleBudget(StableError):
    """No subnet of the space meets the budget."""


class InvalidJob(StableError):
    """Options that no measurement can be run with."""


class InvalidModel(StableError):
    """No model file, truncated, dynamic shapes."""


class InvalidRecord(StableError):
    """A record of another form or version."""


class InvalidSubnet(StableError):
    """Not a subnet of the space."""


class InventoryError(StableError):
    """No list of boards, or a malformed one."""


class LookupTableError(StableError):
    """A missing key, an unknown grammar."""


class MissingDependency(StableError):
    """An optional package is not installed."""


class MixedMachineState(StableError):
    """Measurements that must not be pooled."""


class OutputError(StableError):
    """The result cannot be written."""


class PredictorFormatError(StableError):
    """No predictor file, or of another version or space."""


class RuntimeUnavailable(StableError):
    """No inference runtime found, or it cannot be opened."""


class SearchError(StableError):
    """Options or models that no search can run with."""


class StoreError(StableError):
    """No store, foreign or unreadable."""


class ToolchainError(StableError):
    """A compiler or its output is not what is needed."""


class UnsupportedModel(StableError):
    """An operator or a type the runtime or predictor lacks."""
