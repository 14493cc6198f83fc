// Drift: whether the machine was the same at the end of a measurement as at its start. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "timing/outcome.h"

namespace edgeprof {

// Relative change of the median from the first to the last third of the values, in order of time;
// nothing when there are too few to tell.
std::optional<double> relative_drift(const std::vector<double>& values);

// Of the canary, over all readings.
std::optional<double> canary_drift(const std::vector<BlockConditions>& blocks);

// What drift is left in the blocks that the summary is over (what ran slowly is marked, and does
// not count): of the canary beside them, and of the latency itself, which is what a reference model
// is there for.
std::optional<double> counting_canary_drift(const Outcome& outcome);
std::optional<double> counting_latency_drift(const Outcome& outcome);

// How much the machine changed while a model was measured, as far as that changed the latency, and
// what told.
struct Drift {
    double rel;
    const char* by;  // canary, or reference
};

// What the machine's drift was for each outcome. `reference`: index of the one of a model that was
// measured for its drift, which is then the machine's.
std::vector<std::optional<Drift>> find_drifts(const std::vector<Outcome>& outcomes,
                                              std::optional<std::size_t> reference);

}  // namespace edgeprof
