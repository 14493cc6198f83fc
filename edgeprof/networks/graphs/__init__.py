"""The layer list of a model file: any ONNX, any TFLite.

``read_network`` is the door. ``onnx_reader`` and ``tflite_reader`` make a ``Graph``, ``fusion``
leaves in it what costs time, ``operators`` and ``measures`` say how much, ``layer_list`` writes it
down.
"""

from edgeprof.networks.graphs.layer_list import read_network

__all__ = ["read_network"]
