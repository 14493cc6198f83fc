#include <doctest/doctest.h>

#include <utility>

#include "timing/disturbance.h"
#include "timing/summary.h"

using namespace edgeprof;

namespace {

Samples samples_of(std::vector<std::int64_t> latency_ns, std::vector<std::uint16_t> disturbed) {
    Samples samples;
    samples.latency_ns = std::move(latency_ns);
    samples.disturbed = std::move(disturbed);
    return samples;
}

}  // namespace

TEST_CASE("the summary is over undisturbed samples, or over all when there are none") {
    const Summary clean =
        summarize(samples_of({10, 900, 12, 11, 800, 10, 11, 12, 11}, {0, 1, 0, 0, 2, 0, 0, 0, 0}));
    CHECK(clean.basis == Basis::kUndisturbed);
    CHECK(clean.n_samples == 9);
    CHECK(clean.n_undisturbed == 7);
    CHECK(clean.latency_median_ns == 11.0);
    CHECK(clean.latency_min_ns == 10.0);
    const Summary hopeless = summarize(samples_of({10, 20, 30}, {1, 1, 1}));
    CHECK(hopeless.n_undisturbed == 0);
    CHECK(hopeless.basis == Basis::kAll);
    CHECK(hopeless.latency_median_ns == 20.0);
    CHECK(hopeless.ci_level < 0.95);
}

TEST_CASE("where every sample was preempted, the time waited for the core is taken off") {
    Samples busy = samples_of({150, 210, 101, 300, 180, 100}, {1, 1, 1, 1, 1, 2});
    busy.waited_ns = {50, 110, 0, 201, 80, 0};
    busy.latency_ns.push_back(125);
    busy.disturbed.push_back(1);
    busy.waited_ns.push_back(25);
    busy.latency_ns.push_back(99);  // a wait that belongs to the sample before it
    busy.disturbed.push_back(1);
    busy.waited_ns.push_back(120);
    const Summary summary = summarize(busy);
    CHECK(summary.basis == Basis::kLessWaiting);
    CHECK(summary.n_undisturbed == 0);
    CHECK(summary.latency_median_ns == 100.0);
    CHECK(summary.latency_mean_ns < 101.0);
    CHECK(summary.n_used == 6);
    CHECK(summary.latency_min_ns == 99.0);
    // All were preempted: the least of the raw ones would lie above the median.
    Samples all = samples_of({150, 210, 181, 300, 180, 205}, {1, 1, 1, 1, 1, 1});
    all.waited_ns = {50, 110, 81, 201, 80, 200};
    const Summary corrected = summarize(all);
    CHECK(corrected.basis == Basis::kAll);
    CHECK(corrected.latency_min_ns <= corrected.latency_median_ns);
    all.latency_ns.push_back(201);
    all.disturbed.push_back(1);
    all.waited_ns.push_back(99);
    const Summary plausible = summarize(all);
    CHECK(plausible.basis == Basis::kLessWaiting);
    CHECK(plausible.n_used == 6);
    CHECK(plausible.latency_min_ns == 99.0);
    CHECK(plausible.latency_p95_ns < 103.0);
}

TEST_CASE("few samples beside a calm canary count before many beside a slow one") {
    Samples samples = samples_of(std::vector<std::int64_t>(40, 130),
                                 std::vector<std::uint16_t>(40, kSlowMachine));
    for (std::size_t i = 0; i < 7; ++i) {
        samples.latency_ns[i] = 100;
        samples.disturbed[i] = 0;
    }
    samples.waited_ns.assign(40, 0);
    CHECK(summarize(samples).latency_median_ns == 100.0);
    for (std::size_t i = 0; i < 7; ++i) samples.disturbed[i] = kMigrated;
    const Summary slow = summarize(samples);
    CHECK(slow.basis == Basis::kSlowMachine);
    CHECK(slow.latency_median_ns == 130.0);
    CHECK(slow.n_used == 33);
}
