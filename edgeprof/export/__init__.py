"""Model files from layer lists.

Owns: formats (``onnx.py``), the values of weights (``weights.py``) and folders of models
(``folder.py``).
"""

from edgeprof.export.folder import (
    FORMATS,
    MANIFEST_NAME,
    PRECISIONS,
    ManifestEntry,
    export_subnets,
    read_manifest,
)

__all__ = [
    "FORMATS",
    "MANIFEST_NAME",
    "PRECISIONS",
    "ManifestEntry",
    "export_subnets",
    "read_manifest",
]
