#include "timing/summary.h"

#include <algorithm>
#include <numeric>

#include "timing/disturbance.h"

namespace edgeprof {

const char* name_of(Basis basis) noexcept {
    switch (basis) {
        case Basis::kUndisturbed:
            return "undisturbed";
        case Basis::kLessWaiting:
            return "less_waiting";
        case Basis::kSlowMachine:
            return "slow_machine";
        case Basis::kAll:
            return "all";
    }
    return "unknown";
}

namespace {

std::vector<double> latencies_of(const Samples& samples, Basis basis) {
    std::vector<double> latencies_ns;
    for (std::size_t i = 0; i < samples.latency_ns.size(); ++i) {
        if (!counts_in(samples.disturbed[i], basis)) continue;
        latencies_ns.push_back(counted_latency_ns(samples, i, basis));
    }
    return latencies_ns;
}

// The kernel's account may put a wait into the sample after it; what would be left of that one is
// no latency.
std::vector<double> latencies_less_waiting(const Samples& samples, Basis basis) {
    std::vector<double> latencies_ns = latencies_of(samples, basis);
    if (latencies_ns.empty()) return latencies_ns;
    const double least_ns = median(latencies_ns) / 2.0;
    const auto is_none = [least_ns](double ns) { return ns <= 0.0 || ns < least_ns; };
    latencies_ns.erase(std::remove_if(latencies_ns.begin(), latencies_ns.end(), is_none),
                       latencies_ns.end());
    return latencies_ns;
}

}  // namespace

bool counts_in(unsigned disturbed, Basis basis) noexcept {
    switch (basis) {
        case Basis::kUndisturbed:
            return disturbed == 0;
        case Basis::kLessWaiting:
            return (disturbed & ~static_cast<unsigned>(kPreempted)) == 0;
        case Basis::kSlowMachine:
            return (disturbed & ~static_cast<unsigned>(kPreempted | kSlowMachine)) == 0;
        case Basis::kAll:
            return true;
    }
    return false;
}

double counted_latency_ns(const Samples& samples, std::size_t i, Basis basis) {
    const auto latency_ns = static_cast<double>(samples.latency_ns[i]);
    if (basis == Basis::kAll || samples.disturbed[i] == 0) return latency_ns;
    return latency_ns - static_cast<double>(samples.waited_ns[i]);
}

UsedLatencies used_latencies(const Samples& samples) {
    constexpr std::size_t kFewest = 6;  // for an interval of 95 %
    constexpr std::size_t kPlenty = 30;
    const std::size_t n_samples = samples.latency_ns.size();
    UsedLatencies used{Basis::kUndisturbed, 0, latencies_of(samples, Basis::kUndisturbed)};
    used.n_undisturbed = used.latency_ns.size();
    // A few undisturbed ones among many are less sure than the many, put right.
    const bool is_rare = used.n_undisturbed < kPlenty && used.n_undisturbed * 4 < n_samples;
    if ((used.n_undisturbed < kFewest || is_rare) && !samples.waited_ns.empty()) {
        for (const Basis basis : {Basis::kLessWaiting, Basis::kSlowMachine}) {
            used.latency_ns = latencies_less_waiting(samples, basis);
            used.basis = basis;
            if (used.latency_ns.size() >= kFewest) break;
        }
    }
    if (used.latency_ns.size() < std::min(kFewest, n_samples)) {
        used.latency_ns = latencies_of(samples, Basis::kAll);
        used.basis = Basis::kAll;
    }
    return used;
}

Summary summarize(const Samples& samples) {
    UsedLatencies used = used_latencies(samples);
    const MedianEstimate estimate = estimate_median(used.latency_ns);
    std::vector<double>& sorted = used.latency_ns;
    std::sort(sorted.begin(), sorted.end());
    Summary summary{};
    summary.basis = used.basis;
    summary.n_used = sorted.size();
    summary.n_samples = samples.latency_ns.size();
    summary.n_undisturbed = used.n_undisturbed;
    summary.latency_median_ns = estimate.median;
    summary.ci = estimate.ci;
    summary.ci_level = estimate.ci_level;
    summary.serial_inflation = estimate.serial_inflation;
    summary.latency_min_ns = sorted.front();
    summary.latency_mean_ns =
        std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
    summary.latency_p95_ns = quantile(sorted, 0.95);
    return summary;
}

}  // namespace edgeprof
