// The clock that latencies are taken with: which one, how fast it runs, what reading it costs.
#pragma once

#include <cmath>
#include <ctime>
#include <string>

#include "timing/counter_math.h"
#include "timing/registers.h"

namespace edgeprof {

enum class ClockKind { kMonotonicRaw, kX86Tsc, kArmGenericTimer };

const char* name_of(ClockKind kind) noexcept;

// Nanoseconds of CLOCK_MONOTONIC_RAW: not slewed by NTP, there everywhere.
inline std::int64_t monotonic_raw_ns() noexcept {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

inline double secs_since(std::int64_t start_ns) noexcept {
    return static_cast<double>(monotonic_raw_ns() - start_ns) / 1e9;
}

// One type per clock, so that the read is inlined into the timed region.
struct MonotonicRaw {
    static std::uint64_t begin() noexcept { return static_cast<std::uint64_t>(monotonic_raw_ns()); }
    static std::uint64_t end() noexcept { return begin(); }
};

#ifdef EDGEPROF_HAS_TSC
struct X86Tsc {
    static std::uint64_t begin() noexcept { return registers::tsc_begin(); }
    static std::uint64_t end() noexcept { return registers::tsc_end(); }
};
#endif

#ifdef EDGEPROF_HAS_GENERIC_TIMER
struct ArmGenericTimer {
    static std::uint64_t begin() noexcept {
        const std::uint64_t count = registers::generic_timer();
        registers::generic_timer_fence();
        return count;
    }
    static std::uint64_t end() noexcept { return registers::generic_timer(); }
};
#endif

// Calls function(SomeClock{}) with the type of that kind.
template <class Function>
auto with_clock(ClockKind kind, Function&& function) {
    switch (kind) {
#ifdef EDGEPROF_HAS_TSC
        case ClockKind::kX86Tsc:
            return function(X86Tsc{});
#endif
#ifdef EDGEPROF_HAS_GENERIC_TIMER
        case ClockKind::kArmGenericTimer:
            return function(ArmGenericTimer{});
#endif
        default:
            return function(MonotonicRaw{});
    }
}

// A calibrated clock.
class Clock {
  public:
    // The finest clock that can be trusted here: a TSC that is invariant and the kernel's own
    // choice, a generic timer that user space may read, else CLOCK_MONOTONIC_RAW.
    static Clock best();
    // Calibrates the named clock; throws Error(kInvalidJob) where it is not usable.
    static Clock named(const std::string& name);

    ClockKind kind() const { return kind_; }
    double frequency_hz() const { return 1e9 / scale_.ns_per_tick; }
    double resolution_ns() const { return resolution_ns_; }  // the least step seen
    double read_cost_ns() const { return read_cost_ns_; }    // of one begin/end pair, back to back
    TickScale scale() const { return scale_; }

    // Fits the rate again over all the time since the calibration: the longer the baseline, the
    // less the two reads at its ends matter. Returns by how many parts per million it moved.
    double refine();

    // When the clock read so, by CLOCK_MONOTONIC_RAW.
    std::int64_t raw_ns_at(std::uint64_t ticks) const {
        const double elapsed = static_cast<double>(static_cast<std::int64_t>(ticks - start_.ticks));
        return start_.raw_ns + std::llround(elapsed * scale_.ns_per_tick);
    }

  private:
    explicit Clock(ClockKind kind);
    static bool is_usable(ClockKind kind);

    // Both clocks at one moment.
    struct Moment {
        std::uint64_t ticks;
        std::int64_t raw_ns;
    };
    Moment moment() const;

    ClockKind kind_;
    TickScale scale_;
    double resolution_ns_;
    double read_cost_ns_;
    Moment start_;
};

}  // namespace edgeprof
