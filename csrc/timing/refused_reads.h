// Reads of a counter that the kernel has just stopped allowing (arm64).
//
// kernel.perf_user_access=0 forbids reads by instruction on every processor at once, but the page
// of an event says so (index 0) only when its thread is next scheduled (Linux,
// drivers/perf/arm_pmuv3.c: armv8pmu_proc_user_access_handler). A read in between is an undefined
// instruction: SIGILL would end the measurement of a thread that has a processor to itself.
#pragma once

#include <cstdint>

namespace edgeprof {

// From now on such a read gives registers::kRefused. Every other SIGILL goes where it went before.
void survive_refused_reads() noexcept;

// MRS <Xt>, PMCCNTR_EL0 or PMEVCNTR<n>_EL0 (Arm ARM C6.2 "MRS", D19.5).
constexpr bool is_counter_read(std::uint32_t instruction) noexcept {
    constexpr std::uint32_t kCycles = 0xd53b9d00, kEvents = 0xd53be800;
    return (instruction & ~0x1fu) == kCycles || (instruction & ~0x3ffu) == kEvents;
}

}  // namespace edgeprof
