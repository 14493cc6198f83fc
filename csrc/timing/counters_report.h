// What every counter of this machine reads around a loop of known length: the harness' own proof.
#pragma once

#include <cstdint>
#include <string>

namespace edgeprof {

// One JSON object: {"loop": N, "instructions_per_iteration": 2, "repeats": R, "clock": {...},
// "counters": [{"name", "access": "timer" | "user_page" | "read", "empty", "min", "median",
// "max"} ...], "absent_counters": [...]}. min, median and max are raw counts (ticks for the clock)
// around the loop, over the repeats; "empty" is the median around nothing.
std::string counters_report(std::uint64_t loop_iterations);

}  // namespace edgeprof
