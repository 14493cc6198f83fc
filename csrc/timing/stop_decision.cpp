#include "timing/stop_decision.h"

#include "timing/block_plan.h"
#include "timing/interrupt.h"

namespace edgeprof {

namespace {

constexpr std::size_t kDisturbedFactor = 3;  // samples needed where none is undisturbed
constexpr double kLookShare = 0.02;          // of the time, at most, goes into looks at the result

}  // namespace

const char* name_of(StopReason reason) noexcept {
    switch (reason) {
        case StopReason::kInterval:
            return "interval";
        case StopReason::kMaxSecs:
            return "max_secs";
        case StopReason::kMaxSamples:
            return "max_samples";
        case StopReason::kPlateau:
            return "plateau";
        case StopReason::kInterrupted:
            return "interrupted";
        case StopReason::kFailed:
            return "failed";
    }
    return "unknown";
}

const char* name_of(WaitsFor wanted) noexcept {
    switch (wanted) {
        case WaitsFor::kSamples:
            return "samples";
        case WaitsFor::kCalm:
            return "calm";
        case WaitsFor::kInterval:
            return "interval";
        case WaitsFor::kNothing:
            return "nothing";
    }
    return "unknown";
}

bool StopDecision::is_last(const Progress& progress) const {
    return progress.is_over || progress.n_samples >= settings_.max_samples;
}

bool StopDecision::is_early(const Progress& progress) const {
    return progress.secs < settings_.min_secs ||
           (is_interleaved_ && progress.n_rounds < kMinRounds);
}

bool StopDecision::is_due(const Progress& progress) const {
    return is_last(progress) || (!is_early(progress) && progress.n_samples >= next_samples_ &&
                                 progress.secs >= next_secs_);
}

std::optional<StopReason> StopDecision::look(const Progress& progress, const UsedLatencies& used) {
    const MedianEstimate estimate = estimate_median(used.latency_ns);
    // Where waiting had to be taken off, be slower to believe: there may come undisturbed ones.
    const std::size_t n_needed = used.basis == Basis::kUndisturbed
                                     ? settings_.min_samples
                                     : kDisturbedFactor * settings_.min_samples;
    // With a few calm samples there will be more.
    const bool is_calm = used.basis == Basis::kUndisturbed || used.basis == Basis::kLessWaiting;
    const bool is_enough = !is_early(progress) && is_calm && estimate.n >= n_needed &&
                           estimate.ci_level >= kConfidence;
    estimate_ = estimate;
    waits_for_ = !is_calm ? WaitsFor::kCalm : is_enough ? WaitsFor::kInterval : WaitsFor::kSamples;
    if (is_enough && rule_.add(estimate)) return StopReason::kInterval;
    if (progress.n_samples >= settings_.max_samples) return StopReason::kMaxSamples;
    if (progress.is_over) {
        return is_interrupted() ? StopReason::kInterrupted : StopReason::kMaxSecs;
    }
    if (is_enough && plateau_.add(progress.n_samples, estimate.half_width_rel())) {
        return StopReason::kPlateau;
    }
    return std::nullopt;
}

void StopDecision::note_look(const Progress& progress, double took_secs) {
    next_samples_ = progress.n_samples + progress.n_samples / 10 + 1;
    next_secs_ = progress.secs + took_secs + took_secs / kLookShare;
}

}  // namespace edgeprof
