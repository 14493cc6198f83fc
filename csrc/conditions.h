// The machine's conditions between blocks of inferences, and what they say about the blocks.
//
// Read outside of the timed region, a few small files per block (about 50 ms).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "machine_watch.h"

namespace edgeprof {

// One reading, after a block.
struct BlockConditions {
    std::size_t end_sample;  // the block ends before this sample
    std::int64_t canary_ns;
    std::vector<std::optional<std::int64_t>> freq_khz;  // per frequency domain
    std::vector<std::optional<std::int64_t>> power_uw;  // per rail of the board
    std::optional<std::int64_t> temp_mdegc;
    std::optional<std::int64_t> steal_ticks;  // since boot, of the cores watched
    bool is_throttled;                        // now, or since the reading before
};

class Conditions {
  public:
    explicit Conditions(const std::vector<int>& cpus);

    BlockConditions read(std::size_t end_sample);
    const MachineWatch& watch() const { return watch_; }

  private:
    std::optional<std::int64_t> read_steal_ticks() const;

    std::vector<int> cpus_;
    MachineWatch watch_;
    ThrottleReading throttle_;
};

// Marks the samples of blocks that ran under other conditions than the rest. Pure. blocks[0] is
// the reading before the first block.
void mark_conditions(const std::vector<BlockConditions>& blocks,
                     std::vector<std::uint16_t>& disturbed);

}  // namespace edgeprof
