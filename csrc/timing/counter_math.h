// Arithmetic on counters: pure, and tested without the hardware.
#pragma once

#include <cmath>
#include <cstdint>

namespace edgeprof {

// How counts of a clock become nanoseconds.
struct TickScale {
    double ns_per_tick;
    double cost_ns;  // what an empty interval reads; taken off once
};

// Whole nanoseconds; an interval shorter than the reading itself costs is 0, never negative.
inline std::int64_t ticks_to_ns(std::uint64_t ticks, TickScale scale) noexcept {
    const double ns = static_cast<double>(ticks) * scale.ns_per_tick - scale.cost_ns;
    return ns > 0.0 ? std::llround(ns) : 0;
}

// The rate from two clocks read at the same two moments.
inline double ns_per_tick(std::int64_t elapsed_ns, std::uint64_t elapsed_ticks) noexcept {
    return static_cast<double>(elapsed_ns) / static_cast<double>(elapsed_ticks);
}

// A hardware counter has `width_bits` bits and the perf page counts it as signed from its last
// programming (perf_event_open(2), "rdpmc"): shift up and arithmetically down again.
inline std::int64_t sign_extend(std::uint64_t value, unsigned width_bits) noexcept {
    if (width_bits == 0 || width_bits >= 64) return static_cast<std::int64_t>(value);
    const unsigned shift = 64 - width_bits;
    return static_cast<std::int64_t>(value << shift) >> shift;
}

// One reading of a counter that the kernel may take off the processor for others (multiplexing).
struct CounterReading {
    bool is_told;              // false: it could not be read
    std::uint64_t count;       // since it was opened
    std::uint64_t missed_ns;   // enabled but not on the processor, likewise
    std::uint64_t enabled_ns;  // 0: not told, by a read in user space
};

// In place of a count where there is none: the counter did not run.
constexpr std::uint64_t kNoCount = UINT64_MAX;

// What was counted between two readings: the empty interval taken off, scaled up where the counter
// ran for a part of the interval only; kNoCount where it did not run at all. Never negative.
// `elapsed_ns` stands in where the readings do not tell for how long the counter was enabled.
inline std::uint64_t count_between(const CounterReading& begin, const CounterReading& end,
                                   std::uint64_t empty, double elapsed_ns) noexcept {
    if (!begin.is_told || !end.is_told || end.count < begin.count) return kNoCount;
    const bool has_enabled = begin.enabled_ns > 0 && end.enabled_ns > 0;
    const double enabled_ns =
        has_enabled ? static_cast<double>(end.enabled_ns - begin.enabled_ns) : elapsed_ns;
    const double missed_ns = end.missed_ns > begin.missed_ns
                                 ? static_cast<double>(end.missed_ns - begin.missed_ns)
                                 : 0.0;
    if (enabled_ns <= missed_ns) return kNoCount;
    const std::uint64_t count = end.count - begin.count;
    if (count <= empty) return 0;
    if (missed_ns == 0.0) return count - empty;
    return static_cast<std::uint64_t>(
        std::llround(static_cast<double>(count - empty) * enabled_ns / (enabled_ns - missed_ns)));
}

}  // namespace edgeprof
