"""Latencies out of the samples of a campaign, with standard errors that hold."""

from edgeprof.measuring.estimate.campaign import (
    ESTIMATE_VERSION,
    CampaignEstimate,
    ItemEstimate,
    estimate,
    ratio_half_width,
)
from edgeprof.measuring.estimate.level import ReferenceLevel
from edgeprof.measuring.estimate.samples import Samples

__all__ = [
    "ESTIMATE_VERSION",
    "CampaignEstimate",
    "ItemEstimate",
    "ReferenceLevel",
    "Samples",
    "estimate",
    "ratio_half_width",
]
