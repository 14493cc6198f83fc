// Whether a model has been measured enough. Pure: whoever asks says how much time has passed.
#pragma once

#include <cstddef>
#include <optional>

#include "timing/measure_settings.h"
#include "timing/statistics.h"
#include "timing/summary.h"

namespace edgeprof {

enum class StopReason { kInterval, kMaxSecs, kMaxSamples, kPlateau, kInterrupted, kFailed };
const char* name_of(StopReason reason) noexcept;

// What a measurement that goes on still waits for.
enum class WaitsFor { kSamples, kCalm, kInterval, kNothing };
const char* name_of(WaitsFor wanted) noexcept;

struct Progress {
    double secs;  // since sampling began
    std::size_t n_samples;
    std::size_t n_rounds;
    bool is_over;  // the time is
};

class StopDecision {
  public:
    StopDecision(const MeasureSettings& settings, bool is_interleaved)
        : settings_(settings), is_interleaved_(is_interleaved), rule_(settings.ci_rel) {}

    // Whether to look at the result now: not before it could end the measurement, nor so often that
    // looking costs more than it saves.
    bool is_due(const Progress& progress) const;
    // Why to stop; nothing: go on. Looks at the latencies that count so far.
    std::optional<StopReason> look(const Progress& progress, const UsedLatencies& used);
    // What the look took: the next one waits accordingly.
    void note_look(const Progress& progress, double took_secs);
    // What the last look found; nothing before the first.
    const std::optional<MedianEstimate>& estimate() const { return estimate_; }
    WaitsFor waits_for() const { return waits_for_; }

  private:
    bool is_last(const Progress& progress) const;
    bool is_early(const Progress& progress) const;

    const MeasureSettings& settings_;
    bool is_interleaved_;
    StoppingRule rule_;
    PlateauDetector plateau_;
    std::size_t next_samples_ = 0;
    double next_secs_ = 0.0;
    std::optional<MedianEstimate> estimate_;
    WaitsFor waits_for_ = WaitsFor::kSamples;
};

}  // namespace edgeprof
