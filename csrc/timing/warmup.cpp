#include "timing/warmup.h"

#include <algorithm>

#include "timing/statistics.h"

namespace edgeprof {

namespace {

constexpr double kShare = 0.25;      // of max_secs, at most
constexpr double kLeast_secs = 0.1;  // governors of the clock take tens of milliseconds
constexpr std::size_t kWindow = 10;  // inferences looked at for steadiness

}  // namespace

const char* name_of(WarmupEnd end) noexcept {
    return end == WarmupEnd::kSteady ? "steady" : "time_limit";
}

WarmupRule::WarmupRule(const MeasureSettings& settings)
    : ci_rel_(settings.ci_rel),
      most_secs_(kShare * settings.max_secs),
      least_secs_(std::min(kLeast_secs, most_secs_ / 2.0)),
      total_secs_(settings.max_secs) {}

// Of a slow model the time is better spent on a sample.
bool WarmupRule::has_time(double warmup_secs, double total_secs, double expected_secs) const {
    return warmup_secs < most_secs_ && total_secs + 2.0 * expected_secs <= total_secs_;
}

void WarmupRule::add(double latency_ns) {
    if (recent_ns_.size() == kWindow) recent_ns_.erase(recent_ns_.begin());
    recent_ns_.push_back(latency_ns);
}

bool WarmupRule::is_warm(double warmup_secs) const {
    return warmup_secs >= least_secs_ && is_steady(recent_ns_, kWindow, ci_rel_);
}

double WarmupRule::expected_ns() const { return median(recent_ns_); }

}  // namespace edgeprof
