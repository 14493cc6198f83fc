// The timed region: the few lines that every reported latency comes from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "timing/clock.h"
#include "timing/counters.h"
#include "timing/loaded_model.h"

namespace edgeprof {

// ---- The timed region. Nothing else may stand between the two reads of the clock. ----
// The counters enclose it, so that reading them costs counts, which are known, and no time.
template <class SomeClock, bool kCounts>
std::size_t time_inferences(LoadedModel& model, std::size_t n, std::uint64_t* begins,
                            std::uint64_t* ticks, CounterGroup* counters, CounterValues* counts,
                            double ns_per_tick) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
        CounterReadings before, after;
        if constexpr (kCounts) counters->read(before);
        const std::uint64_t begin = SomeClock::begin();
        const bool is_done = model.invoke();
        const std::uint64_t end = SomeClock::end();
        if constexpr (kCounts) {
            counters->read(after);
            counters->count(before, after, static_cast<double>(end - begin) * ns_per_tick,
                            counts[i]);
        }
        if (!is_done) return i;
        begins[i] = begin;
        ticks[i] = end - begin;
    }
    return n;
}
// --------------------------------------------------------------------------------------

// Times n inferences with the given clock; returns how many succeeded before one failed.
inline std::size_t time_inferences(const Clock& clock, LoadedModel& model, std::size_t n,
                                   std::uint64_t* begins, std::uint64_t* ticks,
                                   CounterGroup* counters, CounterValues* counts) noexcept {
    return with_clock(clock.kind(), [&](auto some) {
        using SomeClock = decltype(some);
        return counters != nullptr
                   ? time_inferences<SomeClock, true>(model, n, begins, ticks, counters, counts,
                                                      clock.scale().ns_per_tick)
                   : time_inferences<SomeClock, false>(model, n, begins, ticks, nullptr, nullptr,
                                                       0);
    });
}

}  // namespace edgeprof
