// The events of LiteRT's own profiler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtimes/backend.h"

namespace edgeprof {

// ProfiledEventData, as far as it is used here; as releases 2.1.6 to 2.3.0 have it.
struct LiteRtEvent {
    const char* tag;     // the operator, as XNNPACK or the built-in kernel calls itself
    std::uint32_t type;  // see kLiteRtOperator
    std::uint64_t start_us;
    std::uint64_t elapsed_us;
    std::uint64_t unused[9];  // memory before and after, indices, source
};
static_assert(sizeof(void*) != 8 || sizeof(LiteRtEvent) == 104, "ProfiledEventData has 104 bytes");

constexpr std::uint32_t kLiteRtOperator = 2;           // of a built-in kernel
constexpr std::uint32_t kLiteRtDelegatedOperator = 8;  // within a delegate

// Room for n events, and as much behind it, filled with what no event holds: the layout is not
// promised, and a release that changes it must be noticed.
std::vector<LiteRtEvent> room_for_events(std::size_t n);
// Whether n events, and nothing more, were written into such room.
bool are_events_whole(const std::vector<LiteRtEvent>& room, std::size_t n);

// Mean time of each operator, in the order of execution, from the events of n_runs inferences.
// Nothing when the inferences did not run the same operators. Pure.
std::vector<OperatorTime> mean_of_events(const std::vector<LiteRtEvent>& events,
                                         std::size_t n_runs);

}  // namespace edgeprof
