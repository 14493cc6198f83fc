#include "timing/measure.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>

#include "timing/run.h"

namespace edgeprof {

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
        case StopReason::kFailed:
            return "failed";
    }
    return "unknown";
}

const char* name_of(WarmupEnd end) noexcept {
    return end == WarmupEnd::kSteady ? "steady" : "time_limit";
}

namespace {

// Fisher and Yates; std::shuffle may differ between libraries.
void shuffle(std::vector<std::size_t>& order, std::mt19937_64& random) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
}

}  // namespace

std::vector<Outcome> measure(const std::vector<Subject>& subjects, std::uint64_t seed, Clock& clock,
                             const FirstInferenceListener& on_first_inference) {
    const std::int64_t start_ns = monotonic_raw_ns();
    const std::uint64_t origin_ticks = with_clock(clock.kind(), [](auto c) { return c.begin(); });
    double budget_secs = 0.0;
    std::vector<std::unique_ptr<Run>> runs;
    for (const Subject& subject : subjects) {
        budget_secs += subject.settings.max_secs;
        runs.push_back(std::make_unique<Run>(subject, clock, subjects.size() > 1));
    }
    const std::int64_t deadline_ns = start_ns + static_cast<std::int64_t>(budget_secs * 1e9);
    bool is_failed = false;
    const auto note = [&is_failed](Run& run, bool is_done) {
        if (is_done) return;
        run.fail();
        is_failed = true;
    };
    double round_secs = 0.0;
    for (const auto& run : runs) {
        if (!is_failed) note(*run, run->prepare(on_first_inference));
        round_secs += run->block_secs();
    }
    const double left_secs = std::max(budget_secs - secs_since(start_ns), 0.0);
    const double factor = left_secs / (static_cast<double>(kMinRounds) * round_secs);
    if (runs.size() > 1 && factor < 1.0) {
        for (const auto& run : runs) run->shorten_blocks(factor);
    }
    std::mt19937_64 random(seed);
    std::vector<std::size_t> order(runs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    bool should_stop = is_failed;
    while (!should_stop) {
        shuffle(order, random);
        bool is_over = false;
        for (const std::size_t i : order) {
            if (!is_failed) note(*runs[i], runs[i]->measure_block(deadline_ns));
            is_over = is_over || runs[i]->is_out_of_time();
        }
        should_stop = true;
        for (const auto& run : runs) {
            if (!is_failed && !run->should_stop(is_over)) should_stop = false;
        }
    }
    clock.refine();
    std::vector<Outcome> outcomes;
    for (const auto& run : runs) outcomes.push_back(run->finish(clock, origin_ticks));
    return outcomes;
}

}  // namespace edgeprof
