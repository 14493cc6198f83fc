#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "base/error.h"
#include "timing/clock.h"
#include "timing/counter_math.h"

using namespace edgeprof;

TEST_CASE("ticks become nanoseconds; the cost of reading is taken off once") {
    const TickScale pi4{1e9 / 54e6, 0.0};  // 54 MHz
    CHECK(ticks_to_ns(54'000'000, pi4) == 1'000'000'000);
    CHECK(ticks_to_ns(1, pi4) == 19);
    CHECK(ticks_to_ns(0, pi4) == 0);
    const TickScale costly{1.0, 20.0};
    CHECK(ticks_to_ns(120, costly) == 100);
    CHECK(ticks_to_ns(5, costly) == 0);  // never negative
    // A day at 3 GHz stays exact to the nanosecond.
    CHECK(ticks_to_ns(259'200'000'000'000, TickScale{1.0 / 3.0, 0.0}) == 86'400'000'000'000);
    CHECK(ns_per_tick(1'000'000'000, 54'000'000) == doctest::Approx(18.5185185));
}

TEST_CASE("a counter of 48 bits is signed from its last programming") {
    CHECK(sign_extend(5, 48) == 5);
    CHECK(sign_extend(0xFFFF'FFFF'FFFFu, 48) == -1);
    CHECK(sign_extend(0x8000'0000'0000u, 48) == -140737488355328);
    CHECK(sign_extend(0x7FFF'FFFF'FFFFu, 48) == 140737488355327);
    CHECK(sign_extend(0xFFFF'FFFFu, 32) == -1);
    CHECK(sign_extend(~std::uint64_t{0}, 64) == -1);
}

TEST_CASE("the clocks of this machine agree with CLOCK_MONOTONIC_RAW") {
    for (const ClockKind kind :
         {ClockKind::kMonotonicRaw, ClockKind::kX86Tsc, ClockKind::kArmGenericTimer}) {
        CAPTURE(name_of(kind));
        try {
            Clock clock = Clock::named(name_of(kind));
            CHECK(clock.kind() == kind);
            CHECK(clock.frequency_hz() > 1e5);
            CHECK(clock.resolution_ns() > 0.0);
            CHECK(std::abs(clock.refine()) < 1000.0);  // parts per million
            const std::int64_t start_ns = monotonic_raw_ns();
            const std::uint64_t ticks = with_clock(kind, [&](auto some) {
                const std::uint64_t begin = some.begin();
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                return some.end() - begin;
            });
            const double elapsed_ns = static_cast<double>(monotonic_raw_ns() - start_ns);
            const double counted_ns = static_cast<double>(ticks_to_ns(ticks, clock.scale()));
            // The raw clock was read last: other work may come between, but only ever adds.
            CHECK(counted_ns > 19.9e6);
            CHECK(counted_ns < elapsed_ns * 1.001);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::kInvalidJob);  // not on this machine
        }
    }
    CHECK_THROWS_AS(Clock::named("sundial"), Error);
}
