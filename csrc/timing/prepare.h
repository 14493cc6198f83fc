// What comes before a model is timed: its first inference, and the warm-up.
#pragma once

#include <cstdint>
#include <optional>

#include "timing/instruments.h"
#include "timing/warmup.h"

namespace edgeprof {

struct Prepared {
    std::int64_t first_inference_ns;
    Warmup warmup;
    double latency_ns;  // expected
};

// Runs a model until it is warm; nothing when an inference failed.
std::optional<Prepared> prepare_model(LoadedModel& model, Instruments& instruments,
                                      const MeasureSettings& settings);

}  // namespace edgeprof
