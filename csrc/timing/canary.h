// The canary: a fixed piece of work timed beside every block of inferences. When it is slow, the
// machine is slow, whatever the reason and whether or not the kernel tells: a neighbour on the
// other hyper-thread, a lower clock, a full memory bus.
#pragma once

#include <cstdint>

namespace edgeprof {

// Shortest of a few runs of the fixed work, in nanoseconds; about 0.1 to 1 ms altogether.
std::int64_t time_canary() noexcept;

}  // namespace edgeprof
