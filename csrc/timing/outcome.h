// What a measurement gives: every sample, and the conditions that it was taken under.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "timing/conditions.h"
#include "timing/stop_decision.h"
#include "timing/summary.h"
#include "timing/warmup.h"

namespace edgeprof {

struct PageFaults {
    std::int64_t minor;
    std::int64_t major;  // those that read the disk
};

struct Outcome {
    std::int64_t first_inference_ns;
    Warmup warmup;
    Samples samples;
    std::vector<BlockConditions> blocks;  // [0] before the first block, then after each
    double calm_canary_ns;                // the reading that counts as calm
    PageFaults page_faults;               // in the measuring loops
    std::int64_t sampling_wall_ns;        // in the measuring loops: clock, model, evidence
    // From the start of the first block to the end of the last, with all that lies between them:
    // looks at the result, conditions, canary, the other models' turns.
    std::int64_t sampling_span_ns;
    StopReason stop_reason;
    std::string failure;  // the runtime's message when stop_reason is kFailed
};

}  // namespace edgeprof
