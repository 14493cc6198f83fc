// What a measurement comes to: from every sample and its disturbances to the few numbers on top.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "timing/statistics.h"

namespace edgeprof {

// One entry per timed inference, in the order they ran. Nothing is thrown away.
struct Samples {
    std::vector<std::int64_t> latency_ns;
    std::vector<std::uint16_t> disturbed;  // bits of Disturbance
    std::vector<std::int64_t> waited_ns;   // for the core, within it; empty where not known
    std::vector<std::int64_t> start_ns;    // since the measurement began
    std::vector<std::uint64_t> ticks;      // of the clock, as read: its cost is in them
    std::vector<std::vector<std::uint64_t>> counts;  // per counter; kNoCount where it did not run
};

// Which samples a summary is over.
enum class Basis {
    kUndisturbed,
    kLessWaiting,  // too few were: also those only preempted, less the time they waited
    kSlowMachine,  // still too few: also those beside a slow canary, likewise
    kAll,          // nor that: all
};
const char* name_of(Basis basis) noexcept;

struct Summary {
    Basis basis;
    std::size_t n_used;  // samples that it is over
    std::size_t n_samples;
    std::size_t n_undisturbed;
    double latency_median_ns;
    Interval ci;      // of the median, distribution-free
    double ci_level;  // its confidence: 0.95, or what min..max of too few samples can give
    double latency_min_ns;
    double latency_mean_ns;
    double latency_p95_ns;
    double serial_inflation;

    double ci_half_width_rel() const { return (ci.high - ci.low) / 2.0 / latency_median_ns; }
};

// Whether a sample with these disturbances counts. Of preempted ones the time waited goes off.
bool counts_in(unsigned disturbed, Basis basis) noexcept;

// Latency of a sample that counts in a summary over `basis`: less the time waited, but for kAll.
double counted_latency_ns(const Samples& samples, std::size_t i, Basis basis);

// The latencies that a summary is over, in order of time.
struct UsedLatencies {
    Basis basis;
    std::size_t n_undisturbed;
    std::vector<double> latency_ns;
};

// Both pure. `samples` must hold at least one.
UsedLatencies used_latencies(const Samples& samples);
Summary summarize(const Samples& samples);

}  // namespace edgeprof
