#include "timing/warmup.h"

#include <algorithm>

#include "timing/statistics.h"

namespace edgeprof {

namespace {

constexpr double kShare = 0.25;             // of max_secs, at most, where that is longer than
constexpr double kMost_secs = 0.5;          // this,
constexpr double kMostOnDevice_secs = 5.0;  // or this where a device's clock must rise
// Governors of a processor's clock take tens of milliseconds, those of a GPU up to a second.
constexpr double kLeast_secs = 0.1;
constexpr double kLeastOnDevice_secs = 1.0;
constexpr double kLeastShare = 0.125;  // of max_secs, at most
constexpr std::size_t kWindow = 10;    // inferences looked at for steadiness
// So long an inference warms all that there is to warm.
constexpr double kLong_ns = 5e8;

}  // namespace

const char* name_of(WarmupEnd end) noexcept {
    return end == WarmupEnd::kSteady ? "steady" : "time_limit";
}

WarmupRule::WarmupRule(const MeasureSettings& settings, double first_inference_ns, bool has_device)
    : ci_rel_(settings.ci_rel),
      least_secs_(std::min(settings.max_warmup_secs,
                           has_device ? kLeastOnDevice_secs
                                      : std::min(kLeast_secs, kLeastShare * settings.max_secs))),
      most_secs_(std::min(
          settings.max_warmup_secs,
          std::max(kShare * settings.max_secs, has_device ? kMostOnDevice_secs : kMost_secs))),
      bound_secs_(settings.max_load_secs - first_inference_ns / 1e9),
      first_inference_ns_(first_inference_ns) {}

// One in any case, as the first inference says nothing about those to come.
bool WarmupRule::has_time(double warmup_secs) const {
    const double end_secs = warmup_secs + expected_ns() / 1e9;
    return end_secs <= bound_secs_ && (recent_ns_.empty() || end_secs <= most_secs_);
}

void WarmupRule::add(double latency_ns) {
    if (recent_ns_.size() == kWindow) recent_ns_.erase(recent_ns_.begin());
    recent_ns_.push_back(latency_ns);
}

bool WarmupRule::is_warm(double warmup_secs) const {
    if (!recent_ns_.empty() && recent_ns_.back() >= kLong_ns) return true;
    return warmup_secs >= least_secs_ && is_steady(recent_ns_, kWindow, ci_rel_);
}

double WarmupRule::expected_ns() const {
    return recent_ns_.empty() ? first_inference_ns_ : median(recent_ns_);
}

}  // namespace edgeprof
