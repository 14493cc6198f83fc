#include "timing/clock.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <csignal>
#include <fstream>
#include <numeric>

#include "base/error.h"

namespace edgeprof {

namespace {

constexpr std::int64_t kCalibration_ns = 10'000'000;

#ifdef EDGEPROF_HAS_GENERIC_TIMER

thread_local sigjmp_buf illegal_instruction_jump;

extern "C" void on_illegal_instruction(int) { siglongjmp(illegal_instruction_jump, 1); }

// 32-bit kernels and emulators may forbid the read in user mode; the only way to know is to try.
bool generic_timer_is_readable() {
    struct sigaction probe = {}, previous = {};
    probe.sa_handler = on_illegal_instruction;
    sigemptyset(&probe.sa_mask);
    if (sigaction(SIGILL, &probe, &previous) != 0) return false;
    bool is_readable = false;
    if (sigsetjmp(illegal_instruction_jump, 1) == 0) {
        registers::generic_timer();
        is_readable = registers::generic_timer_hz() > 0;
    }
    sigaction(SIGILL, &previous, nullptr);
    return is_readable;
}

#endif

#ifdef EDGEPROF_HAS_TSC

// The kernel leaves the TSC when it finds it unsteady; believe it. Virtual machines offer the
// clocks built on it (kvm-clock, hyperv_clocksource_tsc_page) when it is sound underneath.
bool kernel_trusts_tsc() {
    std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    std::string source;
    if (!(file >> source)) return true;
    return source == "tsc" || source == "kvm-clock" || source == "hyperv_clocksource_tsc_page";
}

#endif

}  // namespace

const char* name_of(ClockKind kind) noexcept {
    switch (kind) {
        case ClockKind::kMonotonicRaw:
            return "clock_monotonic_raw";
        case ClockKind::kX86Tsc:
            return "x86_tsc";
        case ClockKind::kArmGenericTimer:
            return "arm_generic_timer";
    }
    return "unknown";
}

bool Clock::is_usable(ClockKind kind) {
    switch (kind) {
#ifdef EDGEPROF_HAS_TSC
        case ClockKind::kX86Tsc:
            return registers::tsc_is_invariant() && kernel_trusts_tsc();
#endif
#ifdef EDGEPROF_HAS_GENERIC_TIMER
        case ClockKind::kArmGenericTimer:
            return generic_timer_is_readable();
#endif
        default:
            return kind == ClockKind::kMonotonicRaw;
    }
}

Clock Clock::best() {
    for (const ClockKind kind : {ClockKind::kX86Tsc, ClockKind::kArmGenericTimer}) {
        if (is_usable(kind)) return Clock(kind);
    }
    return Clock(ClockKind::kMonotonicRaw);
}

Clock Clock::named(const std::string& name) {
    for (const ClockKind kind :
         {ClockKind::kMonotonicRaw, ClockKind::kX86Tsc, ClockKind::kArmGenericTimer}) {
        if (name != name_of(kind)) continue;
        if (is_usable(kind)) return Clock(kind);
        throw Error(ErrorKind::kInvalidJob,
                    "clock '" + name + "' cannot be used on this machine; use 'auto'");
    }
    throw Error(ErrorKind::kInvalidJob,
                "unknown clock '" + name +
                    "'; use 'auto', 'clock_monotonic_raw', 'x86_tsc' or 'arm_generic_timer'");
}

Clock::Moment Clock::moment() const {
    return with_clock(kind_, [](auto clock) {
        // Of several tries, the one whose two raw reads stand closest together was not interrupted.
        Moment best = {};
        std::int64_t best_gap_ns = INT64_MAX;
        for (int attempt = 0; attempt < 16; ++attempt) {
            const std::int64_t before_ns = monotonic_raw_ns();
            const std::uint64_t ticks = clock.begin();
            const std::int64_t gap_ns = monotonic_raw_ns() - before_ns;
            if (gap_ns < best_gap_ns) {
                best_gap_ns = gap_ns;
                best = {ticks, before_ns + gap_ns / 2};
            }
        }
        return best;
    });
}

double Clock::refine() {
    if (kind_ == ClockKind::kMonotonicRaw) return 0.0;
    const Moment now = moment();
    if (now.ticks <= start_.ticks || now.raw_ns <= start_.raw_ns) return 0.0;
    const double before = scale_.ns_per_tick;
    scale_.ns_per_tick = ns_per_tick(now.raw_ns - start_.raw_ns, now.ticks - start_.ticks);
    return (scale_.ns_per_tick / before - 1.0) * 1e6;
}

Clock::Clock(ClockKind kind)
    : kind_(kind), scale_{1.0, 0.0}, resolution_ns_(0.0), read_cost_ns_(0.0), start_(moment()) {
    while (kind_ != ClockKind::kMonotonicRaw &&
           monotonic_raw_ns() - start_.raw_ns < kCalibration_ns) {
    }
    refine();

    with_clock(kind_, [this](auto clock) {
        std::array<std::uint64_t, 1001> intervals;
        const std::int64_t begin_ns = monotonic_raw_ns();
        for (std::uint64_t& interval : intervals) {
            const std::uint64_t begin = clock.begin();
            interval = clock.end() - begin;
        }
        const std::int64_t total_ns = monotonic_raw_ns() - begin_ns;
        read_cost_ns_ = static_cast<double>(total_ns) / static_cast<double>(intervals.size());
        std::sort(intervals.begin(), intervals.end());
        scale_.cost_ns = static_cast<double>(intervals[intervals.size() / 2]) * scale_.ns_per_tick;

        // Counters step by whole ticks, some by several (a TSC that counts in multiples): the
        // greatest common divisor is the step. A clock in ns rounds: take its least step > 0.
        std::uint64_t step = 0;
        for (const std::uint64_t interval : intervals) {
            if (kind_ != ClockKind::kMonotonicRaw) {
                step = std::gcd(step, interval);
            } else if (step == 0) {
                step = interval;
            }
        }
        resolution_ns_ = static_cast<double>(std::max<std::uint64_t>(step, 1)) * scale_.ns_per_tick;
        return 0;
    });
}

}  // namespace edgeprof
