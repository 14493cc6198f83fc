#include <doctest/doctest.h>

#include "timing/conditions.h"
#include "timing/disturbance.h"

using namespace edgeprof;

TEST_CASE("what the kernel counted between two readings is what disturbed") {
    const Evidence before{5, 100, 0, 1000, 2};
    const auto mask = [&](const Evidence& after) {
        return disturbance_between(before, after, 1'000'000);
    };
    CHECK(mask(before) == 0);
    CHECK(mask({6, 100, 0, 500'000, 2}) == kPreempted);
    CHECK(mask({6, 100, 0, 1500, 2}) == 0);         // a glimpse
    CHECK(mask({6, 100, 0, -1, 2}) == kPreempted);  // the kernel does not say how long
    CHECK(mask({5, 100, 0, 1000, 3}) == kMigrated);
    CHECK(mask({6, 900, 1, 500'000, 3}) == (kPreempted | kMigrated));  // page faults count
}

TEST_CASE("calm is a low reading that others confirm") {
    std::vector<BlockConditions> blocks(100);
    for (BlockConditions& block : blocks) block.canary_ns = 200;
    CHECK(calm_canary_ns(blocks) == 200.0);
    blocks[7].canary_ns = blocks[70].canary_ns = 90;
    CHECK(calm_canary_ns(blocks) == 200.0);
    blocks[50].canary_ns = 100;
    CHECK(calm_canary_ns(blocks) == 100.0);
    blocks.resize(2);
    blocks[1].canary_ns = 250;
    CHECK(calm_canary_ns(blocks) == 250.0);
}

TEST_CASE("blocks under other conditions than the rest are marked") {
    const auto block = [](std::size_t end, std::int64_t canary_ns, std::int64_t khz,
                          std::int64_t steal, bool is_throttled) {
        BlockConditions conditions{};
        conditions.end_sample = end;
        conditions.canary_ns = canary_ns;
        conditions.freq_khz = {khz};
        conditions.steal_ticks = steal;
        conditions.is_throttled = is_throttled;
        return conditions;
    };
    const std::vector<BlockConditions> blocks{
        block(0, 100, 1500, 0, false), block(2, 100, 1500, 0, false),
        block(4, 130, 1500, 0, false), block(6, 101, 1200, 0, false),
        block(8, 99, 1500, 1, true),   block(10, 100, 1500, 1, false)};
    std::vector<std::uint16_t> disturbed(10, 0);
    CHECK(calm_canary_ns(blocks) == 100.0);
    mark_conditions(blocks, calm_canary_ns(blocks), disturbed);
    CHECK(disturbed == std::vector<std::uint16_t>{0, 0, kSlowMachine, kSlowMachine, kFrequency,
                                                  kFrequency, kStolen | kThrottled,
                                                  kStolen | kThrottled, 0, 0});
}
