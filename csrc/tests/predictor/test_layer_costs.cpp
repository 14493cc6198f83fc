#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "predictor/layer_costs.h"
#include "tests/layer_costs_sample.h"

namespace edgeprof {
namespace {

using edgp_sample::Bytes;
using layer_costs_sample::make;

LayerCosts loaded(const Bytes& bytes) {
    LayerCosts costs;
    REQUIRE(costs.load(bytes.data(), bytes.size()).ok());
    return costs;
}

// Ten of one quantity, at the origin of the smooth functions.
LayerNumbers layer_of(std::size_t kind) {
    LayerNumbers layer;
    layer.kind = kind;
    layer.quantities[0] = 10;
    return layer;
}

double latency_of(const LayerCosts& costs, const std::vector<LayerNumbers>& layers) {
    double latency_ms = 0;
    REQUIRE(costs.predict_ms(layers.data(), layers.size(), &latency_ms) == layers.size());
    return latency_ms;
}

TEST_CASE("a layer costs its quantities times what its place says") {
    const LayerCosts costs = loaded(make());
    CHECK(costs.device() == "a-device");
    const double at_origin = std::exp(0.5) * 10 * 0.5;
    CHECK(latency_of(costs, {layer_of(0)}) == doctest::Approx(at_origin));
    LayerNumbers far = layer_of(0);
    far.sizes[4] = std::exp(1.0);  // the kernel's logarithm counts 1.5 times
    const double fallen = 0.5 * std::exp(-0.5 * 1.5 * 1.5);
    CHECK(latency_of(costs, {far}) == doctest::Approx(std::exp(fallen) * 10 * 0.5));
}

TEST_CASE("equal layers are counted, and layers add up") {
    const LayerCosts costs = loaded(make());
    LayerNumbers three = layer_of(1);
    three.count = 3;
    CHECK(latency_of(costs, {three, layer_of(0)}) == doctest::Approx(4 * std::exp(0.5) * 5));
}

TEST_CASE("kinds that were not measured cost what their base costs") {
    const LayerCosts costs = loaded(make());
    CHECK(costs.find_kind("move:slice") == 1);
    CHECK(costs.find_kind("conv.int8") == 2);
    CHECK(costs.find_kind("move:pad+") == 3);
    CHECK(costs.find_kind("mystery") == LayerCosts::kNoKind);
    CHECK(latency_of(costs, {layer_of(2)}) == doctest::Approx(5));  // no points, no stretch
}

TEST_CASE("layers out of range are refused by their index") {
    const LayerCosts costs = loaded(make());
    double latency_ms = -7;
    for (const double bad : {-1.0, 2e18, std::numeric_limits<double>::quiet_NaN()}) {
        std::vector<LayerNumbers> layers = {layer_of(0), layer_of(0)};
        layers[1].quantities[3] = bad;
        CHECK(costs.predict_ms(layers.data(), 2, &latency_ms) == 1);
    }
    const LayerNumbers idle{};
    CHECK(costs.predict_ms(&idle, 1, &latency_ms) == 0);
    const LayerNumbers unknown = layer_of(4);
    CHECK(costs.predict_ms(&unknown, 1, &latency_ms) == 0);
    CHECK(latency_ms == -7);
}

TEST_CASE("files that are cut short, torn or of subnets are refused") {
    const Bytes whole = make();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        LayerCosts costs;
        CHECK_FALSE(costs.load(cut.data(), cut.size()).ok());
        edgp_sample::seal(cut);
        CHECK_FALSE(costs.load(cut.data(), cut.size()).ok());
        CHECK(costs.n_kinds() == 0);
    }
    LayerCosts costs;
    const Bytes negative = make(-0.5F);
    CHECK_FALSE(costs.load(negative.data(), negative.size()).ok());
    const Bytes subnets = edgp_sample::make({{3, 4, 2}, 2, 3, 2, 4});
    const std::string message = costs.load(subnets.data(), subnets.size()).message;
    CHECK(message == "has format version 1, this reader knows 2");
}

}  // namespace
}  // namespace edgeprof
