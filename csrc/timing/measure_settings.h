// How a model is measured.
#pragma once

#include <cstddef>
#include <vector>

namespace edgeprof {

// No defaults: each of them changes what is measured (the defaults of jobs stand in job.cpp).
struct MeasureSettings {
    double ci_rel;    // stop when half the 95 % interval is within this share of the median
    double min_secs;  // measure at least as long
    double max_secs;  // sampling ends then, but for the fewest samples that make a result
    std::size_t min_samples;
    std::size_t max_samples;  // likewise
    bool has_worker_threads;  // the runtime uses more threads than the calling one
    std::vector<int> cpus;    // cores to run on; empty: the scheduler's choice
    double max_load_secs;     // bound of the first inference and the warm-up, beside max_secs
    double max_warmup_secs;   // of the warm-up; short in a campaign, where every visit warms
};

// The fewest timed inferences that make a result, by how long one takes: below, there is no
// interval that could be believed.
constexpr std::size_t fewest_samples(double latency_ns) { return latency_ns > 10e9 ? 3 : 10; }

}  // namespace edgeprof
