// One model's measurement under way: first inference, warm-up, then block after block. measure()
// takes the turns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "timing/clock.h"
#include "timing/conditions.h"
#include "timing/core_choice.h"
#include "timing/counters.h"
#include "timing/disturbance.h"
#include "timing/measure.h"
#include "timing/statistics.h"
#include "timing/summary.h"

namespace edgeprof {

// Interleaved models have at least so many: ratios are taken round by round.
constexpr std::size_t kMinRounds = 12;

class Run {
  public:
    Run(const Subject& subject, const Clock& clock, bool is_interleaved)
        : subject_(subject),
          settings_(subject.settings),
          clock_(clock),
          is_interleaved_(is_interleaved),
          evidence_(subject.settings.has_worker_threads,
                    subject.energy != nullptr ? subject.energy->thread_id() : -1),
          conditions_(subject.root, subject.settings.cpus, subject.energy),
          rule_(subject.settings.ci_rel) {}

    // First inference and warm-up; false when one failed.
    bool prepare(const FirstInferenceListener& on_first_inference);
    double block_secs() const { return static_cast<double>(block_samples_) * expected_ns_ / 1e9; }
    // Makes blocks of interleaved models shorter, so that there is time for enough rounds.
    void shorten_blocks(double factor);
    // Times a block, or what of it fits before the deadline, and one sample in any case.
    bool measure_block(std::int64_t deadline_ns);
    bool is_out_of_time() const { return is_out_of_time_; }
    // Whether this model needs no more samples; notes why.
    bool should_stop(bool is_over);
    void fail() {
        outcome_.stop_reason = StopReason::kFailed;
        outcome_.failure = subject_.model->failure();
    }
    // With the clock's final rate.
    Outcome finish(const Clock& clock, std::uint64_t origin_ticks);

  private:
    bool time_one(std::int64_t& latency_ns);
    bool warm_up(std::int64_t start_ns);
    void plan();
    double block_ns();
    bool time_stretches(std::size_t first, std::size_t n, std::int64_t deadline_ns,
                        std::size_t& done);
    void resize(std::size_t n);
    bool look(std::size_t n, bool is_over);
    void judge_calm();
    bool leave_slow_core();
    Samples samples_so_far() const;

    const Subject& subject_;
    const MeasureSettings& settings_;
    const Clock& clock_;
    const bool is_interleaved_;
    EvidenceReader evidence_;
    Conditions conditions_;
    CoreChoice core_;
    Outcome outcome_{};

    double expected_ns_ = 0.0;          // of the next inference
    std::size_t block_samples_ = 1;     // timed between two readings of the conditions
    std::size_t evidence_samples_ = 1;  // timed between two readings of evidence
    CounterGroup* counters_ = nullptr;
    std::vector<std::uint64_t> begins_;  // ticks; ns only at the end, with the final rate
    std::vector<std::uint64_t> ticks_;
    std::vector<std::uint16_t> disturbed_;
    std::vector<CounterValues> counts_;
    std::vector<std::int64_t> minor_faults_;  // per sample, of its stretch
    std::vector<std::int64_t> waited_ns_;     // likewise
    std::int64_t sampling_start_ns_ = 0;
    bool is_out_of_time_ = false;
    bool is_content_ = false;  // at the last look
    std::size_t next_look_samples_ = 0;
    std::int64_t next_look_ns_ = 0;
    StoppingRule rule_;
    PlateauDetector plateau_;
};

}  // namespace edgeprof
