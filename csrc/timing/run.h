// One model's measurement under way: first inference, warm-up, then block after block. measure()
// takes the turns.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "timing/block_plan.h"
#include "timing/measure.h"
#include "timing/stop_decision.h"

namespace edgeprof {

class Run {
  public:
    Run(const Subject& subject, bool is_interleaved)
        : subject_(subject),
          instruments_(*subject.instruments),
          is_interleaved_(is_interleaved),
          decision_(subject.settings, is_interleaved) {}

    // First inference and warm-up; false when one failed.
    bool prepare(const WarmListener& on_warm);
    double block_secs() const {
        return static_cast<double>(plan_.block_samples) * expected_ns_ / 1e9;
    }
    // Makes blocks of interleaved models shorter, so that there is time for enough rounds.
    void shorten_blocks(double factor) { plan_.shorten(factor, expected_ns_); }
    // Times a block, or what of it fits before the deadline; after that what a result still lacks.
    bool measure_block(std::int64_t deadline_ns);
    void note_switch() { has_switched_ = true; }  // the caches are another model's
    bool is_out_of_time() const { return is_out_of_time_; }
    bool has_enough() const { return recording_.size() >= fewest_samples(expected_ns_); }
    // Whether this model needs no more samples; notes why.
    bool should_stop(bool is_over);
    RunStatus status() const;  // after the first block
    void fail();
    // To be called when the clock has its final rate.
    Outcome finish(std::uint64_t origin_ticks);

  private:
    // One entry per sample.
    struct Recording {
        std::vector<std::uint64_t> begins;  // ticks; ns only at the end, with the final rate
        std::vector<std::uint64_t> ticks;
        std::vector<std::uint16_t> disturbed;
        std::vector<std::int64_t> waited_ns;  // of its stretch
        std::vector<CounterValues> counts;

        void resize(std::size_t n, bool has_counts);
        std::size_t size() const { return ticks.size(); }
    };

    double secs_since(std::int64_t start_ns) const {
        return static_cast<double>(instruments_.now_ns() - start_ns) / 1e9;
    }
    bool time_block(std::size_t n, std::int64_t deadline_ns, std::size_t& done);
    std::size_t time_stretch(std::size_t first, std::size_t n, Evidence& before,
                             std::uint16_t mask);
    void judge_calm() { outcome_.calm_canary_ns = calm_canary_ns(outcome_.blocks); }
    Samples samples_so_far() const;

    const Subject& subject_;
    Instruments& instruments_;
    const bool is_interleaved_;
    double expected_ns_ = 0.0;  // of the next inference
    BlockPlan plan_{1, 1, false};
    Recording recording_;
    StopDecision decision_;
    std::optional<StopReason> last_look_;
    std::int64_t sampling_start_ns_ = 0;
    bool has_switched_ = false;  // before the next block
    bool is_out_of_time_ = false;
    Outcome outcome_{};
};

}  // namespace edgeprof
