// Which performance monitor counts on which cores: boards with cores of several kinds (big.LITTLE)
// have one per kind, and a counter of one stands still on the cores of another.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace edgeprof {

struct CorePmu {
    std::string name;    // armv8_cortex_a76
    std::uint32_t type;  // as perf_event_open(2) wants it
    std::vector<int> cpus;
};

// The ARM performance monitors below `root`, by sys/bus/event_source. None on x86.
std::vector<CorePmu> find_core_pmus(const std::string& root);

// What to open for a model on these cores (empty: any).
struct PmuChoice {
    const CorePmu* pmu;   // nullptr: the kernel's generic events, as there is but one kind of core
    std::string absence;  // why nothing can be counted; empty when it can
};
PmuChoice choose_pmu(const std::vector<CorePmu>& pmus, const std::vector<int>& cpus);

}  // namespace edgeprof
