#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "timing/statistics.h"

using namespace edgeprof;

namespace {

std::vector<double> sorted(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values;
}

}  // namespace

TEST_CASE("median and quantiles of small sets, by hand") {
    CHECK(median({3.0}) == 3.0);
    CHECK(median({4.0, 1.0, 3.0}) == 3.0);
    CHECK(median({4.0, 1.0, 3.0, 2.0}) == 2.5);
    CHECK(quantile({1.0, 2.0, 3.0, 4.0, 5.0}, 0.95) == doctest::Approx(4.8));
    CHECK(quantile({7.0}, 0.95) == 7.0);
}

TEST_CASE("ranks of the median's interval are those of the tables") {
    // Conover, table A3: n = 6 gives the range; n = 10 ranks 2 and 9; n = 20 ranks 6 and 15.
    const auto ranks = [](std::size_t n) {
        std::vector<double> values;
        for (std::size_t i = 1; i <= n; ++i) values.push_back(static_cast<double>(i));
        return *median_interval(values, 1.0);
    };
    CHECK(ranks(6).low == 1.0);
    CHECK(ranks(6).high == 6.0);
    CHECK(ranks(10).low == 2.0);
    CHECK(ranks(10).high == 9.0);
    CHECK(ranks(20).low == 6.0);
    CHECK(ranks(20).high == 15.0);
    CHECK(!median_interval({1, 2, 3, 4, 5}, 1.0).has_value());
    CHECK(range_confidence(5.0) == doctest::Approx(0.9375));
    CHECK(range_confidence(1.0) == 0.0);
}

TEST_CASE("the interval holds the median as often as it says") {
    std::mt19937_64 random(1);
    std::lognormal_distribution<double> latency(0.0, 0.3);  // skewed, as latencies are
    for (const std::size_t n : {12u, 50u, 400u}) {
        int n_held = 0;
        constexpr int kTrials = 1000;
        for (int trial = 0; trial < kTrials; ++trial) {
            std::vector<double> values(n);
            for (double& value : values) value = latency(random);
            const Interval interval = *median_interval(sorted(values), 1.0);
            n_held += interval.low <= 1.0 && 1.0 <= interval.high;
        }
        CAPTURE(n);
        CHECK(n_held >= 0.93 * kTrials);
    }
}

TEST_CASE("values that depend on their neighbours widen the interval, independent ones hardly") {
    std::mt19937_64 random(2);
    std::normal_distribution<double> noise;
    std::vector<double> independent(20'000), drifting(20'000);
    double level = 0.0;
    for (std::size_t i = 0; i < independent.size(); ++i) {
        independent[i] = noise(random);
        level = 0.99 * level + 0.14 * noise(random);  // variance about 1, correlated over ~100
        drifting[i] = level;
    }
    CHECK(serial_inflation(independent) < 2.2);
    CHECK(serial_inflation(drifting) > 20.0);
    const Interval narrow = *median_interval(sorted(drifting), 1.0);
    const Interval wide = *median_interval(sorted(drifting), serial_inflation(drifting));
    CHECK(wide.high - wide.low > 3.0 * (narrow.high - narrow.low));
}

TEST_CASE("with the widening, the interval holds the median of a slowly wandering machine") {
    std::mt19937_64 random(3);
    std::normal_distribution<double> noise;
    int n_held = 0;
    constexpr int kTrials = 300;
    for (int trial = 0; trial < kTrials; ++trial) {
        std::vector<double> values(2000);
        double level = noise(random);
        for (double& value : values) {
            level = 0.95 * level + 0.312 * noise(random);
            value = level;
        }
        const double inflation = serial_inflation(values);
        const Interval interval = *median_interval(sorted(values), inflation);
        n_held += interval.low <= 0.0 && 0.0 <= interval.high;
    }
    CHECK(n_held >= 0.88 * kTrials);
}

namespace {

// Noise of a machine: each value resembles the one before it by `memory` of its deviation.
struct Noise {
    double memory;
    double spread_rel;
};

// Runs the stopping rule as measure() does, looking each time a tenth more values have come.
// Returns how many values it took; `estimate` is the last one.
std::size_t stop(const Noise& noise, std::mt19937_64& random, MedianEstimate& estimate) {
    constexpr std::size_t kMost = 20'000;
    std::normal_distribution<double> normal;
    StoppingRule rule(0.01);
    std::vector<double> values;
    double deviation = noise.spread_rel * normal(random);
    const double fresh = noise.spread_rel * std::sqrt(1.0 - noise.memory * noise.memory);
    for (std::size_t look = 30; look < kMost; look += look / 10 + 1) {
        while (values.size() < look) {
            values.push_back(1.0 + deviation);
            deviation = noise.memory * deviation + fresh * normal(random);
        }
        estimate = estimate_median(values);
        if (estimate.ci_level >= kConfidence && rule.add(estimate)) return look;
    }
    return kMost;
}

}  // namespace

TEST_CASE("an interval that ended a measurement holds the median as often as it says") {
    std::mt19937_64 random(6);
    for (const Noise& noise : {Noise{0.0, 0.005}, Noise{0.0, 0.01}, Noise{0.0, 0.05},
                               Noise{0.5, 0.03}, Noise{0.9, 0.01}, Noise{0.9, 0.03}}) {
        constexpr int kTrials = 200;
        int n_held = 0;
        for (int trial = 0; trial < kTrials; ++trial) {
            MedianEstimate estimate{};
            stop(noise, random, estimate);
            n_held += estimate.ci.low <= 1.0 && 1.0 <= estimate.ci.high;
        }
        CAPTURE(noise.memory);
        CAPTURE(noise.spread_rel);
        CHECK(n_held >= 0.91 * kTrials);
    }
    const Noise wandering{0.95, 0.05};
    int n_held = 0;
    for (int trial = 0; trial < 30; ++trial) {
        MedianEstimate estimate{};
        stop(wandering, random, estimate);
        n_held += estimate.ci.low <= 1.0 && 1.0 <= estimate.ci.high;
    }
    CHECK(n_held >= 27);
}

TEST_CASE("on a quiet machine a hundredth is reached within 60 samples") {
    std::mt19937_64 random(7);
    std::vector<double> needed;
    for (int trial = 0; trial < 200; ++trial) {
        MedianEstimate estimate{};
        needed.push_back(static_cast<double>(stop({0.0, 0.01}, random, estimate)));
    }
    CHECK(quantile(sorted(needed), 0.95) <= 60.0);
}

TEST_CASE("one narrow look is luck, two in a row are believed") {
    const MedianEstimate narrow{1.0, {0.995, 1.005}, 0.95, 1.0, 100};
    MedianEstimate wide = narrow, dependent = narrow;
    wide.ci = {0.9, 1.1};
    dependent.serial_inflation = 20.0;
    StoppingRule rule(0.01);
    CHECK_FALSE(rule.add(narrow));
    CHECK_FALSE(rule.add(wide));
    CHECK_FALSE(rule.add(narrow));
    CHECK_FALSE(rule.add(dependent));
    CHECK_FALSE(rule.add(narrow));
    CHECK(rule.add(narrow));
}

TEST_CASE("a trend is found, noise is not") {
    std::mt19937_64 random(4);
    std::normal_distribution<double> noise;
    std::vector<double> flat, falling;
    for (int i = 0; i < 40; ++i) {
        flat.push_back(100.0 + noise(random));
        falling.push_back(100.0 - 0.3 * i + noise(random));
    }
    CHECK(std::abs(trend_z(flat)) < 2.5);
    CHECK(trend_z(falling) < -4.0);
    CHECK(trend_z({1.0, 1.0, 1.0, 1.0}) == 0.0);
    CHECK(trend_z({1.0}) == 0.0);
}

TEST_CASE("warm-up ends when the latency is steady, not before") {
    std::vector<double> latencies;
    std::size_t ended_at = 0;
    for (int i = 0; i < 100 && ended_at == 0; ++i) {
        latencies.push_back(1000.0 * (1.0 + std::exp(-i / 8.0)));  // settles over about 40
        if (is_steady(latencies, 10, 0.01)) ended_at = latencies.size();
    }
    CHECK(ended_at > 25);
    CHECK(ended_at < 60);
    CHECK_FALSE(is_steady({1.0, 1.0, 1.0}, 10, 0.01));
    const std::vector<double> step_without_trend{1.0, 1.3, 1.0, 1.0, 1.3, 1.3, 1.0, 1.3, 1.3, 1.0};
    const std::vector<double> trend_within{1.0,   1.001, 1.002, 1.003, 1.004,
                                           1.005, 1.006, 1.007, 1.008, 1.009};
    CHECK(is_steady(step_without_trend, 10, 0.01));
    CHECK(is_steady(trend_within, 10, 0.01));
}

TEST_CASE("a plateau is told from an interval that narrows with the square root") {
    PlateauDetector narrowing, stuck;
    bool is_stuck = false;
    for (std::size_t n = 50; n < 3000; n += 50) {
        CHECK_FALSE(narrowing.add(n, 1.0 / std::sqrt(static_cast<double>(n))));
        is_stuck = is_stuck || stuck.add(n, 0.05);
    }
    CHECK(is_stuck);
}
