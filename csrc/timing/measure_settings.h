// How a model is measured.
#pragma once

#include <cstddef>
#include <vector>

namespace edgeprof {

// No defaults: each of them changes what is measured (the defaults of jobs stand in job.cpp).
struct MeasureSettings {
    double ci_rel;    // stop when half the 95 % interval is within this share of the median
    double min_secs;  // measure at least as long
    double max_secs;  // warm-up and measurement together
    std::size_t min_samples;
    std::size_t max_samples;
    bool has_worker_threads;  // the runtime uses more threads than the calling one
    std::vector<int> cpus;    // cores to run on; empty: the scheduler's choice
};

}  // namespace edgeprof
