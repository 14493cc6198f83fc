#include "timing/block_plan.h"

#include <algorithm>

namespace edgeprof {

namespace {

// One block of samples, then a reading of the conditions: short, since a neighbour comes and goes
// within tens of milliseconds; but of the time at most a small share goes into the reading.
constexpr double kShortestBlock_ns = 1e7;
constexpr double kLongestBlock_ns = 5e7;
constexpr double kConditionsShare = 0.01;
constexpr double kMaxBlockSamples = 1e6;
constexpr std::size_t kMinInterleavedSamples = 6;
// To fill the caches anew takes milliseconds: nothing to an inference as long as this.
constexpr double kNoSwitchCost_ns = 5e8;
constexpr double kEvidenceShare = 0.01;  // of the time, at most, goes into reading evidence
constexpr double kCounterShare = 0.02;   // of the latency, at most, goes into reading counters

std::size_t whole(double n) {
    return static_cast<std::size_t>(std::clamp(n, 1.0, kMaxBlockSamples));
}

// Interleaved models pay for each change, and rails of power are read at their own pace.
double block_ns(const BlockPlanFacts& facts) {
    if (facts.is_interleaved || facts.has_rails) return kLongestBlock_ns;
    return std::clamp(facts.costs.conditions_ns / kConditionsShare, kShortestBlock_ns,
                      kLongestBlock_ns);
}

}  // namespace

void BlockPlan::shorten(double factor, double latency_ns) {
    const std::size_t least = latency_ns < kNoSwitchCost_ns ? 2 : 1;
    block_samples =
        std::max(static_cast<std::size_t>(factor * static_cast<double>(block_samples)), least);
    evidence_samples = std::min(evidence_samples, block_samples);
}

BlockPlan plan_blocks(const BlockPlanFacts& facts) {
    BlockPlan plan{};
    plan.reads_counters =
        facts.has_counters && 2.0 * facts.costs.counters_ns <= kCounterShare * facts.latency_ns;
    const double per_sample_ns = facts.latency_ns + facts.costs.clock_ns;
    plan.block_samples = whole(block_ns(facts) / per_sample_ns);
    // The first sample of an interleaved block is marked; there must be some that are not.
    if (facts.is_interleaved) {
        plan.block_samples = std::max(std::min(plan.block_samples, facts.max_samples / kMinRounds),
                                      kMinInterleavedSamples);
    }
    plan.evidence_samples = std::min(
        whole(facts.costs.evidence_ns / (kEvidenceShare * per_sample_ns)), plan.block_samples);
    return plan;
}

}  // namespace edgeprof
