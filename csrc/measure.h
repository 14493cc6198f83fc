// The one place where time is taken: first inference, warm up until steady, measure until the
// interval of the median is narrow enough. Both doors (extension module, board program) call it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backend.h"
#include "clock.h"
#include "conditions.h"
#include "counters.h"
#include "statistics.h"

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

// One model under measurement.
struct Subject {
    LoadedModel* model;
    CounterGroup* counters;  // nullptr: none
    MeasureSettings settings;
};

enum class StopReason { kInterval, kMaxSecs, kMaxSamples, kPlateau, kFailed };
const char* name_of(StopReason reason) noexcept;

enum class WarmupEnd { kSteady, kTimeLimit };
const char* name_of(WarmupEnd end) noexcept;

struct Warmup {
    std::size_t n;
    std::int64_t wall_ns;
    std::int64_t timed_ns;  // the sum of its inferences
    WarmupEnd end;
};

// One entry per timed inference, in the order they ran. Nothing is thrown away.
struct Samples {
    std::vector<std::int64_t> latency_ns;
    std::vector<std::uint16_t> disturbed;  // bits of Disturbance
    std::vector<std::int64_t> waited_ns;   // for the core, within it; empty where not known
    std::vector<std::int64_t> start_ns;    // since the measurement began
    std::vector<std::vector<std::uint64_t>> counts;  // per counter
};

// Which samples a summary is over.
enum class Basis {
    kUndisturbed,
    kLessWaiting,  // too few were: all that were only preempted, less the time they waited
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

struct Outcome {
    std::int64_t first_inference_ns;
    Warmup warmup;
    Samples samples;
    std::vector<BlockConditions> blocks;  // [0] before the first block, then after each
    std::int64_t sampling_wall_ns;        // time spent in the measuring loop, bookkeeping included
    StopReason stop_reason;
    std::string failure;  // the runtime's message when stop_reason is kFailed
};

// Measures one model, or several interleaved: in rounds, each with one block of every model, in an
// order drawn anew from `seed` for each round, so that whatever the machine does while measuring
// meets them all. Several go on together until each has its interval, or max_secs times their
// number is over. Block b of each outcome belongs to round b.
std::vector<Outcome> measure(const std::vector<Subject>& subjects, std::uint64_t seed,
                             Clock& clock);

// Pure. `samples` must hold at least one.
Summary summarize(const Samples& samples);

}  // namespace edgeprof
