#include "timing/measure.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>

#include "timing/interrupt.h"
#include "timing/run.h"

namespace edgeprof {

namespace {

// Fisher and Yates; std::shuffle may differ between libraries.
void shuffle(std::vector<std::size_t>& order, std::mt19937_64& random) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
}

using Runs = std::vector<std::unique_ptr<Run>>;

// False when an inference failed.
bool note(Run& run, bool is_done) {
    if (!is_done) run.fail();
    return is_done;
}

// First inferences and warm-up, and blocks so long that enough rounds fit. False on failure.
bool prepare(Runs& runs, double budget_secs, const WarmListener& on_warm) {
    double round_secs = 0.0;
    for (const auto& run : runs) {
        if (!note(*run, run->prepare(on_warm))) return false;
        round_secs += run->block_secs();
    }
    const double factor = budget_secs / (static_cast<double>(kMinRounds) * round_secs);
    if (runs.size() > 1 && factor < 1.0) {
        for (const auto& run : runs) run->shorten_blocks(factor);
    }
    return true;
}

void tell(const Runs& runs, const RoundListener& on_round) {
    if (!on_round) return;
    on_round([&runs] {
        std::vector<RunStatus> statuses;
        for (const auto& run : runs) statuses.push_back(run->status());
        return statuses;
    });
}

// Round after round until all have stopped. False on failure.
bool sample(Runs& runs, std::uint64_t seed, std::int64_t deadline_ns, Instruments& time,
            ReferenceTurns* references, const RoundListener& on_round) {
    std::mt19937_64 random(seed);
    std::vector<std::size_t> order(runs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (bool should_stop = false; !should_stop;) {
        shuffle(order, random);
        bool is_out_of_time = false;
        bool has_enough = true;
        for (const std::size_t i : order) {
            const std::int64_t until_ns = is_interrupted() ? 0 : deadline_ns;
            if (!note(*runs[i], runs[i]->measure_block(until_ns))) return false;
            is_out_of_time = is_out_of_time || runs[i]->is_out_of_time();
            has_enough = has_enough && runs[i]->has_enough();
        }
        const bool is_over = is_out_of_time && has_enough;
        if (references != nullptr && references->take_turn(time)) {
            for (const auto& run : runs) run->note_switch();
        }
        should_stop = true;
        for (const auto& run : runs) should_stop = run->should_stop(is_over) && should_stop;
        tell(runs, on_round);
    }
    return true;
}

}  // namespace

std::vector<Outcome> measure(const std::vector<Subject>& subjects, std::uint64_t seed,
                             const WarmListener& on_warm, ReferenceTurns* references,
                             const RoundListener& on_round) {
    Instruments& time = *subjects.front().instruments;
    const std::uint64_t origin_ticks = time.now_ticks();
    double budget_secs = 0.0;
    Runs runs;
    for (const Subject& subject : subjects) {
        budget_secs += subject.settings.max_secs;
        runs.push_back(std::make_unique<Run>(subject, subjects.size() > 1));
    }
    if (prepare(runs, budget_secs, on_warm)) {
        const std::int64_t deadline_ns =
            time.now_ns() + static_cast<std::int64_t>(budget_secs * 1e9);
        sample(runs, seed, deadline_ns, time, references, on_round);
    }
    time.refine_clock();
    std::vector<Outcome> outcomes;
    for (const auto& run : runs) outcomes.push_back(run->finish(origin_ticks));
    return outcomes;
}

}  // namespace edgeprof
