// Counters of the processor (PMU) around inferences: CPU cycles, instructions, misses.
//
// Through perf_event_open(2). With one measuring thread a counter is read in user space where the
// kernel allows it (x86; arm64 from Linux 5.17 with kernel.perf_user_access=1), else by read(). For
// a runtime with worker threads the counters are inherited by the threads that it starts and only
// read() sums them up. A counter that is not there, or stands still, is absent with its reason:
// never 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace edgeprof {

enum class CounterAccess { kUserPage, kRead };
const char* name_of(CounterAccess access) noexcept;

constexpr std::size_t kMaxCounters = 4;
using CounterValues = std::array<std::uint64_t, kMaxCounters>;

struct CounterFacts {
    std::string name;  // cpu_cycles, instructions, cache_misses, branch_misses
    CounterAccess access;
    bool sums_threads;     // over all threads that the runtime started
    std::uint64_t empty;   // what an empty interval reads; taken off once
    double running_share;  // of the time the event was enabled; below 1 it was multiplexed
};

struct AbsentCounter {
    std::string name;
    std::string reason;
};

class CounterGroup {
  public:
    // Opens what can be opened. To be called before the runtime starts threads.
    explicit CounterGroup(bool sums_threads);
    ~CounterGroup();
    CounterGroup(CounterGroup&&) noexcept;
    CounterGroup(const CounterGroup&) = delete;
    CounterGroup& operator=(const CounterGroup&) = delete;

    std::size_t size() const noexcept;
    const std::vector<AbsentCounter>& absent() const noexcept;

    // The counts at this moment, one per counter. Allocates nothing, throws nothing.
    void read(CounterValues& values) noexcept;

    // Facts about each counter, with its share of running time until now.
    std::vector<CounterFacts> facts() const;

    // Mean cost of one read() of the whole group.
    double read_cost_ns() const noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace edgeprof
