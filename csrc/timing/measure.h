// Measures models: first inference, warm up until steady, then blocks of samples until the interval
// of the median is narrow enough. Both doors (extension module, board program) call it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "timing/instruments.h"
#include "timing/loaded_model.h"
#include "timing/measure_settings.h"
#include "timing/outcome.h"
#include "timing/reference_turns.h"
#include "timing/stop_decision.h"

namespace edgeprof {

// One model under measurement.
struct Subject {
    LoadedModel* model;
    Instruments* instruments;
    MeasureSettings settings;
};

// Told of each model's expected latency when it is warm, outside of all timing.
using WarmListener = std::function<void(std::int64_t latency_ns)>;

// How far a model is.
struct RunStatus {
    std::size_t n_samples;
    std::optional<MedianEstimate> estimate;  // when the result was looked at last
    double latency_ns;                       // that median, or before the first look a rough one
    WaitsFor waits_for;
};

// Told after each round, outside of all timing; asks how far every model is where it wants to know,
// which takes a moment.
using StatusReader = std::function<std::vector<RunStatus>()>;
using RoundListener = std::function<void(const StatusReader&)>;

// Measures one model, or several interleaved: in rounds, each with one block of every model, in an
// order drawn anew from `seed` for each round, so that whatever the machine does while measuring
// meets them all. First inferences and warm-up come before, with a bound of their own. Several
// models go on together until each has its interval, or max_secs times their number is over. Block
// b of each outcome belongs to round b. An inference that would end after max_secs is not begun,
// but each model gets the fewest samples that make a result.
// references: take turns with them between the rounds; nullptr: none.
std::vector<Outcome> measure(const std::vector<Subject>& subjects, std::uint64_t seed,
                             const WarmListener& on_warm, ReferenceTurns* references = nullptr,
                             const RoundListener& on_round = {});

}  // namespace edgeprof
