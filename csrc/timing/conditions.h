// The machine's conditions between blocks of inferences, and what they say about the blocks.
//
// Read outside of the timed region: a few small files and the canary, per block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine/energy_sampler.h"
#include "machine/machine_watch.h"

namespace edgeprof {

// On a calm machine the canary varies by some per cent, a neighbour takes half of its speed.
// AndroidX' benchmark library allows 10 %.
constexpr double kCanaryTolerance = 0.08;

// One reading, after a block.
struct BlockConditions {
    std::size_t end_sample;  // the block ends before this sample
    std::int64_t canary_ns;  // the slower of the readings before and after it
    std::vector<std::optional<std::int64_t>> freq_khz;  // per frequency domain
    BlockPower power;                                   // per rail of the board, while it ran
    std::optional<std::int64_t> temp_mdegc;
    std::optional<std::int64_t> steal_ticks;  // since boot, of the cores watched
    bool is_throttled;                        // now, or since the reading before
};

class Conditions {
  public:
    // root: "/" but for tests. energy: nullptr where nobody wants to know.
    Conditions(const std::string& root, const std::vector<int>& cpus, EnergySampler* energy);

    void start_block();
    BlockConditions read(std::size_t end_sample);  // after a block, or before the first

  private:
    std::int64_t read_canary();
    std::optional<std::int64_t> read_steal_ticks() const;

    std::string stat_path_;
    std::vector<int> cpus_;
    MachineWatch watch_;
    EnergySampler* energy_;
    bool is_in_block_ = false;
    ThrottleReading throttle_;
    std::int64_t canary_ns_ = 0;
    std::int64_t canary_read_at_ns_ = 0;
};

// The canary's reading when nothing slows the machine: of these blocks, the lowest that is no
// single luck. Slowness only ever adds, and a machine that a neighbour slows most of the time still
// shows its own speed in between. Pure; there must be one.
double calm_canary_ns(const std::vector<BlockConditions>& blocks);

// Whether a reading is as good as the calm one.
bool is_calm(double canary_ns, double calm_canary_ns);

// Marks the samples of blocks that ran under other conditions than the rest. Pure. blocks[0] is
// the reading before the first block.
void mark_conditions(const std::vector<BlockConditions>& blocks, double calm_canary_ns,
                     std::vector<std::uint16_t>& disturbed);

}  // namespace edgeprof
