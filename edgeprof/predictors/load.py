"""Predictors from files: the shipped ``.edgp`` through the C++ reader, and the host's ``.npz``.

Owns: which class reads which file, and ``EdgpPredictor``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from edgeprof.base.errors import InvalidSubnet, PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import Latencies, LatencyPredictor
from edgeprof.predictors.compact.edgp_file import CompactModel, decode_edgp
from edgeprof.predictors.compact.predictor import read_predictor_bytes


class EdgpPredictor:
    """An ``.edgp`` file read by the C++ core: millions of predictions a second.

    Attributes:
        space: id of the search space.
        device: name of the device.
        memory_bytes: what the reader takes.
    """

    def __init__(self, data: bytes, source: str = "predictor") -> None:
        """Read the bytes of a file.

        Raises:
            PredictorFormatError: naming ``source`` and what is wrong with it.
        """
        from edgeprof import _core

        self._data, self._source = data, source
        try:
            self._reader = _core.CompactPredictor(data)
            self.space, self.device = self._reader.space, self._reader.device
        except UnicodeDecodeError:
            raise PredictorFormatError(f"{source}: holds text that is no UTF-8") from None
        except ValueError as error:
            raise PredictorFormatError(f"{source}: {error}") from error
        self.memory_bytes = self._reader.memory_bytes

    @cached_property
    def model(self) -> CompactModel:
        """The file's content, tensors and provenance, read by the Python reference."""
        return decode_edgp(self._data, self._source)

    def to_bytes(self) -> bytes:
        """Return the bytes of the file."""
        return self._data

    @property
    def provenance(self) -> Mapping[str, object]:
        """Where the predictor comes from: dataset hash, n, metrics and the like."""
        return self.model.provenance

    def predict(self, subnets: Sequence[Subnet]) -> Latencies:
        """Return the latency of each subnet in ms."""
        return self.predict_codes(get_space(self.space).encode(subnets))

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the latency of each row of codes in ms; other threads run meanwhile.

        Raises:
            InvalidSubnet: if the shape or a code is not of the space.
        """
        try:
            return self._reader.predict_codes(codes)
        except TypeError:
            found = np.asarray(codes)
            raise InvalidSubnet(
                f"space {self.space}: codes are {found.dtype} {found.shape}, want uint8"
            ) from None
        except ValueError as error:
            raise InvalidSubnet(f"space {self.space}: {error}") from error


def load_predictor(path: str | Path, *, space: str | None = None) -> LatencyPredictor:
    """Read a predictor: ``P.edgp``, ``P.host.npz``, a folder of lookup tables or one ``.yaml``.

    Args:
        path: the file or folder.
        space: id of the space, for lookup tables that do not name it.

    Raises:
        PredictorFormatError: if it is none of these, or cannot be read.
        LookupTableError: if lookup tables are wrong.
    """
    path = Path(path)
    if path.is_dir() or path.suffix in (".yaml", ".yml"):
        from edgeprof.predictors.lut.tables import load_tables

        return load_tables(path, space)
    if path.suffix == ".edgp":
        return EdgpPredictor(read_predictor_bytes(path), str(path))
    if path.suffix == ".npz":
        from edgeprof.predictors.host_file import load_host  # with the models it may hold

        return load_host(path)
    raise PredictorFormatError(
        f"{path}: is no predictor, want .edgp, .host.npz or a folder of lookup tables"
    )
