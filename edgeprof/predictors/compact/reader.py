"""An ``.edgp`` file through the C++ reader."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidSubnet, PredictorFormatError
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.base import Latencies, Origin, PredictsCodes
from edgeprof.predictors.compact.edgp_file import CompactModel, decode_edgp


class EdgpPredictor(PredictsCodes):
    """An ``.edgp`` file read by the C++ core: millions of predictions a second.

    Attributes:
        space: id of the search space.
        device: name of the device.
        memory_bytes: what the reader takes.
        learned: see ``Origin``; from the host model beside the file, where there is one.
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
        self.learned: NDArray[np.uint64] | None = None

    @cached_property
    def model(self) -> CompactModel:
        """The file's content, tensors and provenance, read by the Python reference."""
        return decode_edgp(self._data, self._source)

    def to_bytes(self) -> bytes:
        """Return the bytes of the file."""
        return self._data

    @property
    def origin(self) -> Origin:  # type: ignore[override]  # read when asked for
        """Where the predictor comes from."""
        return Origin(self.provenance, self.learned)

    @property
    def provenance(self) -> Mapping[str, object]:
        """Where the predictor comes from: dataset hash, n, metrics and the like."""
        return self.model.provenance

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
