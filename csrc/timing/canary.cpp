#include "timing/canary.h"

#include <algorithm>
#include <array>

#include "timing/clock.h"

namespace edgeprof {

namespace {

// Multiply-adds over 64 KiB: beyond the first cache, so that it feels the memory system too.
constexpr std::size_t kElements = 16'384;
constexpr int kPasses = 4;
constexpr int kRuns = 3;

}  // namespace

std::int64_t time_canary() noexcept {
    // Per thread: the extension module may measure on several.
    alignas(64) static thread_local std::array<float, kElements> work{};
    std::int64_t shortest_ns = INT64_MAX;
    for (int run = 0; run < kRuns; ++run) {
        const std::int64_t begin_ns = monotonic_raw_ns();
        for (int pass = 0; pass < kPasses; ++pass) {
            for (float& value : work) value = value * 0.999f + 0.001f;
            asm volatile("" ::"r"(work.data()) : "memory");  // each pass really happens
        }
        shortest_ns = std::min(shortest_ns, monotonic_raw_ns() - begin_ns);
    }
    return shortest_ns;
}

}  // namespace edgeprof
