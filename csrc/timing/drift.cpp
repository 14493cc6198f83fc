#include "timing/drift.h"

#include <algorithm>
#include <cmath>

namespace edgeprof {

namespace {

// What changes within so short a time is noise.
constexpr std::int64_t kShortest_ns = 450'000'000;

// Calls visit(block, its latencies that count) for each block that has some.
template <class Visit>
void for_each_counting_block(const Outcome& outcome, Visit&& visit) {
    const Samples& samples = outcome.samples;
    if (samples.latency_ns.empty()) return;
    const Basis basis = used_latencies(samples).basis;
    for (std::size_t i = 1; i < outcome.blocks.size(); ++i) {
        std::vector<double> latencies_ns;
        const std::size_t end = std::min(outcome.blocks[i].end_sample, samples.latency_ns.size());
        for (std::size_t k = outcome.blocks[i - 1].end_sample; k < end; ++k) {
            if (!counts_in(samples.disturbed[k], basis)) continue;
            latencies_ns.push_back(counted_latency_ns(samples, k, basis));
        }
        if (!latencies_ns.empty()) visit(outcome.blocks[i], std::move(latencies_ns));
    }
}

}  // namespace

std::optional<double> relative_drift(const std::vector<double>& values) {
    const std::size_t third = values.size() / 3;
    if (third < 3) return std::nullopt;
    const auto length = static_cast<std::ptrdiff_t>(third);
    const double first = median({values.begin(), values.begin() + length});
    if (first <= 0.0) return std::nullopt;
    return median({values.end() - length, values.end()}) / first - 1.0;
}

std::optional<double> canary_drift(const std::vector<BlockConditions>& blocks) {
    std::vector<double> canaries;
    for (const BlockConditions& block : blocks) {
        canaries.push_back(static_cast<double>(block.canary_ns));
    }
    return relative_drift(canaries);
}

std::optional<double> counting_canary_drift(const Outcome& outcome) {
    std::vector<double> canaries;
    for_each_counting_block(outcome, [&](const BlockConditions& block, std::vector<double>&&) {
        canaries.push_back(static_cast<double>(block.canary_ns));
    });
    return relative_drift(canaries);
}

std::optional<double> counting_latency_drift(const Outcome& outcome) {
    std::vector<double> medians;
    for_each_counting_block(outcome,
                            [&](const BlockConditions&, std::vector<double>&& latencies_ns) {
                                medians.push_back(median(std::move(latencies_ns)));
                            });
    return relative_drift(medians);
}

namespace {

// What a faster or slower canary did to the model beside it: as much of the model's own change as
// the canary confirms. A neighbour on the other hyper-thread may slow the canary to half its speed
// and a model by a tenth.
std::optional<double> confirmed_drift(const Outcome& outcome) {
    if (outcome.sampling_span_ns < kShortest_ns) return std::nullopt;
    const std::optional<double> canary = counting_canary_drift(outcome);
    const std::optional<double> latency = counting_latency_drift(outcome);
    if (!canary || !latency) return std::nullopt;
    if (*canary * *latency <= 0.0) return 0.0;
    return std::abs(*canary) < std::abs(*latency) ? canary : latency;
}

}  // namespace

std::vector<std::optional<Drift>> find_drifts(const std::vector<Outcome>& outcomes,
                                              std::optional<std::size_t> reference) {
    std::optional<Drift> of_reference;
    if (reference) {
        if (const auto rel = counting_latency_drift(outcomes[*reference])) {
            of_reference = Drift{*rel, "reference"};
        }
    }
    std::vector<std::optional<Drift>> drifts;
    for (const Outcome& outcome : outcomes) {
        drifts.push_back(of_reference);
        if (of_reference) continue;
        if (const auto rel = confirmed_drift(outcome)) drifts.back() = Drift{*rel, "canary"};
    }
    return drifts;
}

}  // namespace edgeprof
