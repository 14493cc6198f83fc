// Counters of the processor (PMU) around inferences: CPU cycles, instructions, misses.
//
// Through perf_event_open(2). With one measuring thread a counter is read in user space where the
// kernel allows it (x86; arm64 from Linux 5.17 with kernel.perf_user_access=1), else by read(). For
// a runtime with worker threads the counters are inherited by the threads that it starts and only
// read() sums them up. A counter that is not there, or stands still, is absent with its reason:
// never 0. All count in user mode only: that is what perf_event_paranoid 2 allows.
//
// Groups of one thread share the processor's counters: of models measured in turns, only the one
// whose turn it is has its group on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "timing/counter_math.h"

namespace edgeprof {

enum class CounterAccess { kUserPage, kRead };
const char* name_of(CounterAccess access) noexcept;

constexpr std::size_t kMaxCounters = 4;
using CounterReadings = std::array<CounterReading, kMaxCounters>;
using CounterValues = std::array<std::uint64_t, kMaxCounters>;  // or kNoCount

struct CounterFacts {
    std::string name;  // cpu_cycles, instructions, cache_misses, branch_misses
    CounterAccess access;
    bool sums_threads;     // over all threads that the runtime started
    std::uint64_t empty;   // what an empty interval reads; taken off once
    double running_share;  // of the time it was on; below 1 it had to share the processor's
};

struct AbsentCounter {
    std::string name;
    std::string reason;
};

class CounterGroup {
  public:
    // Opens what can be opened, and leaves it off. To be called before the runtime starts threads.
    // cpus: those that the model runs on, empty for any; root: "/", to find their counters.
    CounterGroup(bool sums_threads, const std::vector<int>& cpus, const std::string& root);
    ~CounterGroup();
    CounterGroup(CounterGroup&&) noexcept;
    CounterGroup(const CounterGroup&) = delete;
    CounterGroup& operator=(const CounterGroup&) = delete;

    std::size_t size() const noexcept;
    const std::vector<AbsentCounter>& absent() const noexcept;

    // A system call per counter: not for the timed region.
    void switch_on() noexcept;
    void switch_off() noexcept;

    // The counters at this moment. Allocates nothing, throws nothing.
    void read(CounterReadings& readings) noexcept;
    // What was counted between two readings, `elapsed_ns` apart by the clock.
    void count(const CounterReadings& begin, const CounterReadings& end, double elapsed_ns,
               CounterValues& counts) const noexcept;

    // Facts about each counter, with its share of running time until now.
    std::vector<CounterFacts> facts() const;

    // Mean cost of one read() of the whole group.
    double read_cost_ns() const noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace edgeprof
