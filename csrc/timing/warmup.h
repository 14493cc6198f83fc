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
    // has_device: the model runs on one that raises its clocks under load, which takes its time.
    WarmupRule(const MeasureSettings& settings, double first_inference_ns, bool has_device);

    // Whether there is time for another inference, `warmup_secs` after the warm-up began.
    bool has_time(double warmup_secs) const;
    void add(double latency_ns);
    bool is_warm(double warmup_secs) const;
    double expected_ns() const;  // of the next inference

  private:
    double ci_rel_;
    double least_secs_;
    double most_secs_;
    double bound_secs_;  // even of the first
    double first_inference_ns_;
    std::vector<double> recent_ns_;
};

}  // namespace edgeprof
