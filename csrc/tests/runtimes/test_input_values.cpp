#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "runtimes/input_values.h"

using namespace edgeprof;

TEST_CASE("inputs are the same for the same seed, other for another, and never denormal") {
    float a[1000], b[1000], c[1000];
    fill_input(a, 1000, "float32", 1, 0);
    fill_input(b, 1000, "float32", 1, 0);
    fill_input(c, 1000, "float32", 2, 0);
    CHECK(std::memcmp(a, b, sizeof a) == 0);
    CHECK(std::memcmp(a, c, sizeof a) != 0);
    for (const float value : a) {
        CHECK(value >= -1.0f);
        CHECK(value < 1.0f);
        CHECK((value == 0.0f || std::abs(value) > 1e-30f));
    }
    CHECK(bytes_per_element("string") == 0);
}
