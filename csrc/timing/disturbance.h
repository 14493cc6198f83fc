// Evidence of what disturbed an inference: what the kernel counted while it ran.
//
// Reading the evidence is a system call, so it stands outside of the timed region, and for short
// inferences it is read once for several of them (run.cpp decides how many).
#pragma once

#include <array>
#include <cstdint>

namespace edgeprof {

// Bits of a sample's mask. Their names and numbers are part of the record format.
enum Disturbance : std::uint16_t {
    kPreempted = 1u << 0,    // threads of this process lost time on their core to others
    kMigrated = 1u << 1,     // the measuring thread came back on another core
    kPageFault = 1u << 2,    // in old records only: page faults may be the model's own
    kFrequency = 1u << 3,    // the clock frequency of its block was not the usual one
    kThrottled = 1u << 4,    // throttling or under-voltage was reported during its block
    kStolen = 1u << 5,       // the hypervisor gave the core to others during its block
    kSlowMachine = 1u << 6,  // the canary beside its block was slow
    kAfterSwitch = 1u << 7,  // the first after another model: the caches were the other's
};

struct DisturbanceName {
    Disturbance bit;
    const char* name;
};
constexpr std::array<DisturbanceName, 8> kDisturbanceNames{{
    {kPreempted, "preempted"},
    {kMigrated, "migrated"},
    {kPageFault, "page_fault"},
    {kFrequency, "frequency"},
    {kThrottled, "throttled"},
    {kStolen, "stolen"},
    {kSlowMachine, "slow_machine"},
    {kAfterSwitch, "after_switch"},
}};

// The kernel's counts at one moment.
struct Evidence {
    std::int64_t involuntary_switches;
    std::int64_t minor_faults;
    std::int64_t major_faults;
    std::int64_t waited_ns;  // runnable but not running, since the threads began; -1: not told
    int cpu;
};

// Time waited for a core between two looks; 0 where the kernel does not tell.
inline std::int64_t waited_between(const Evidence& before, const Evidence& after) noexcept {
    const bool is_told = before.waited_ns >= 0 && after.waited_ns >= 0;
    return is_told ? after.waited_ns - before.waited_ns : 0;
}

// Time that all threads below a folder like /proc/self/task waited for a core; -1 when the kernel
// tells it of none.
// ignored_thread: one that is no part of the inference; -1: there is none.
std::int64_t sum_waited_ns(const char* task_folder, int ignored_thread) noexcept;

class EvidenceReader {
  public:
    EvidenceReader(bool of_all_threads, int ignored_thread)
        : of_all_threads_(of_all_threads), ignored_thread_(ignored_thread) {}

    // A system call; the time waited costs more and is read anew only after a context switch.
    Evidence read() noexcept;

  private:
    bool of_all_threads_;
    int ignored_thread_;
    bool is_first_ = true;
    std::int64_t last_switches_ = 0;
    std::int64_t last_waited_ns_ = -1;
};

// What two readings say about the time between them. An involuntary switch counts when more than
// 0.2 % of the time was lost to it, or when the kernel does not tell how much: inferences of half a
// second never go without a glimpse of a kernel thread, which changes nothing. Page faults are no
// disturbance: a model that maps memory in every inference has them by nature.
std::uint16_t disturbance_between(const Evidence& before, const Evidence& after,
                                  std::int64_t elapsed_ns) noexcept;

}  // namespace edgeprof
