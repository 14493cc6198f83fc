// When a model is warm. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "timing/measure_settings.h"

namespace edgeprof {

enum class WarmupEnd { kSteady, kTimeLimit };
const char* name_of(WarmupEnd end) noexcept;

struct Warmup {
    std::size_t n;
    std::int64_t wall_ns;
    std::int64_t timed_ns;  // the sum of its inferences
    WarmupEnd end;
};

class WarmupRule {
  public:
    explicit WarmupRule(const MeasureSettings& settings);

    // Whether there is time for another inference. warmup_secs: since the warm-up began;
    // total_secs: since the first inference began; expected_secs: of the next inference.
    bool has_time(double warmup_secs, double total_secs, double expected_secs) const;
    void add(double latency_ns);
    bool is_warm(double warmup_secs) const;
    // Of the next inference; there must have been one.
    double expected_ns() const;

  private:
    double ci_rel_;
    double most_secs_;
    double least_secs_;
    double total_secs_;
    std::vector<double> recent_ns_;
};

}  // namespace edgeprof
