"""Published networks as layer lists: their multiply-accumulates are those of the papers."""

import pytest

from edgeprof.base.errors import InvalidModel
from edgeprof.networks.architectures.mobilenets import mobilenet_by_name


@pytest.mark.parametrize(
    ("name", "million_macs", "million_parameters"),
    [
        ("mobilenet-v1-1.0-224", 569, 4.2),  # Howard 2017, table 8
        ("mobilenet-v1-0.5-160", 76, 1.3),
        ("mobilenet-v1-0.25-128", 13.6, 0.47),
        ("mobilenet-v2-1.0-224", 300, 3.5),  # Sandler 2018, table 4
        ("mobilenet-v2-1.4-224", 582, 6.1),
        ("mobilenet-v2-0.35-96", 11.9, 1.67),
        ("mobilenet-v3-large-1.0-224", 217, 5.4),  # Howard 2019, table 3
        ("mobilenet-v3-large-0.75-224", 155, 4.0),
        ("mobilenet-v3-large-minimalistic-1.0-224", 209, 3.9),
        ("mobilenet-v3-small-1.0-224", 56.5, 2.5),
        ("mobilenet-v3-small-0.75-224", 43.4, 2.0),
    ],
)
def test_work_is_that_of_the_papers(name, million_macs, million_parameters):
    network = mobilenet_by_name(name)
    assert network.name == name
    assert network.macs / 1e6 == pytest.approx(million_macs, rel=0.02)
    assert network.parameters / 1e6 == pytest.approx(million_parameters, rel=0.03)


@pytest.mark.parametrize(
    ("number", "million_macs", "million_parameters"),
    [(0, 407, 4.7), (1, 631, 5.4), (2, 899, 6.1), (3, 1440, 8.2), (4, 2640, 13.0)],
)
def test_efficientnet_lite_is_as_published(number, million_macs, million_parameters):
    # The published MACs count operations of activations too, some 5 %.
    network = mobilenet_by_name(f"efficientnet-lite{number}")
    assert network.macs / 1e6 == pytest.approx(million_macs, rel=0.06)
    assert network.parameters / 1e6 == pytest.approx(million_parameters, rel=0.02)


def test_an_unknown_name_is_an_error_that_names_it():
    with pytest.raises(InvalidModel, match="resnet-50"):
        mobilenet_by_name("resnet-50")
