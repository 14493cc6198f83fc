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

// What an interval really counted: the empty interval taken off, scaled up when the counter ran
// only a share of the time. Never negative.
inline std::uint64_t net_count(std::uint64_t count, std::uint64_t empty,
                               double running_share) noexcept {
    if (count <= empty) return 0;
    const double net = static_cast<double>(count - empty);
    return static_cast<std::uint64_t>(running_share > 0.0 && running_share < 1.0
                                          ? std::llround(net / running_share)
                                          : std::llround(net));
}

}  // namespace edgeprof
