// How long blocks of inferences are, and how often evidence and counters are read. Pure.
#pragma once

#include <cstddef>

#include "timing/instruments.h"

namespace edgeprof {

// Interleaved models have at least so many rounds: ratios are taken round by round.
constexpr std::size_t kMinRounds = 12;

struct BlockPlan {
    std::size_t block_samples;     // timed between two readings of the conditions
    std::size_t evidence_samples;  // timed between two readings of evidence
    bool reads_counters;

    // Makes blocks shorter, by a factor below 1.
    void shorten(double factor, double latency_ns);
};

struct BlockPlanFacts {
    double latency_ns;  // expected
    ReadingCosts costs;
    bool has_counters;
    bool has_rails;
    bool is_interleaved;
    std::size_t max_samples;
};

BlockPlan plan_blocks(const BlockPlanFacts& facts);

}  // namespace edgeprof
