// Measures models: first inference, warm up until steady, then blocks of samples until the interval
// of the median is narrow enough. Both doors (extension module, board program) call it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtimes/backend.h"
#include "timing/clock.h"
#include "timing/conditions.h"
#include "timing/counters.h"
#include "timing/summary.h"

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
    double calm_canary_ns;    // what the canary has read here when all was calm; 0: not known
};

// One model under measurement.
struct Subject {
    LoadedModel* model;
    CounterGroup* counters;  // nullptr: none
    MeasureSettings settings;
    std::string root = "/";           // of the machine's facts; another in tests
    EnergySampler* energy = nullptr;  // nullptr: none wanted
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

struct Outcome {
    std::int64_t first_inference_ns;
    Warmup warmup;
    Samples samples;
    std::vector<BlockConditions> blocks;  // [0] before the first block, then after each
    double calm_canary_ns;                // the reading that counts as calm
    std::size_t n_core_moves;             // from a slow core to another
    bool is_slow_throughout;              // no block was as calm as the machine is known to be
    std::int64_t sampling_wall_ns;        // in the measuring loops: clock, model, evidence
    // From the start of the first block to the end of the last, with all that lies between them:
    // looks at the result, conditions, canary, the other models' turns.
    std::int64_t sampling_span_ns;
    StopReason stop_reason;
    std::string failure;  // the runtime's message when stop_reason is kFailed
};

// Told of each model's first inference, outside of all timing.
using FirstInferenceListener = std::function<void(std::int64_t latency_ns)>;

// Measures one model, or several interleaved: in rounds, each with one block of every model, in an
// order drawn anew from `seed` for each round, so that whatever the machine does while measuring
// meets them all. Several go on together until each has its interval, or max_secs times their
// number is over. Block b of each outcome belongs to round b. An inference that would end after
// max_secs is not begun, but each model gets its first inference and one sample.
std::vector<Outcome> measure(const std::vector<Subject>& subjects, std::uint64_t seed, Clock& clock,
                             const FirstInferenceListener& on_first_inference);

}  // namespace edgeprof
