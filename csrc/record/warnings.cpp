#include "record/warnings.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/json.h"

namespace edgeprof {

namespace {

using Seen = std::optional<std::string>;

// Holds, and there is no value to tell.
Seen when(bool holds) { return holds ? Seen("") : std::nullopt; }

// As short as it reads back the same: 1.5, not 1.500000.
std::string rounded(double value, double steps) {
    json::Writer number;
    number.value(std::round(value * steps) / steps);
    return number.text();
}

// The share of its time that the counter ran that had to share most.
Seen shared_counters(const MeasuredFacts& facts) {
    constexpr double kWhole = 0.999;  // less is the switching itself
    double least = 1.0;
    for (const CounterFacts& counter : facts.counters) {
        least = std::min(least, counter.running_share);
    }
    if (least >= kWhole) return std::nullopt;
    return rounded(least * 100.0, 10.0);
}

Seen missing_profile(const MeasuredFacts& facts) {
    if (facts.profile_failure.empty()) return std::nullopt;
    return facts.profile_failure;
}

Seen unsteady_warmup(const MeasuredFacts& facts) {
    return when(facts.outcome.warmup.end == WarmupEnd::kTimeLimit);
}

Seen less_waiting(const MeasuredFacts& facts) {
    return when(facts.summary.basis == Basis::kLessWaiting);
}

Seen slow_or_preempted(const MeasuredFacts& facts) {
    return when(facts.summary.basis == Basis::kSlowMachine);
}

Seen all_disturbed(const MeasuredFacts& facts) { return when(facts.summary.basis == Basis::kAll); }

Seen half_disturbed(const MeasuredFacts& facts) {
    const Summary& summary = facts.summary;
    return when(summary.basis == Basis::kUndisturbed &&
                summary.n_undisturbed * 2 < summary.n_samples);
}

// Of what keeps an interval wide, the first that holds is the reason.
bool has_few_samples(const MeasuredFacts& facts) { return facts.summary.ci_level < kConfidence; }

Seen few_samples(const MeasuredFacts& facts) {
    if (!has_few_samples(facts)) return std::nullopt;
    return rounded(facts.summary.ci_level * 100.0, 10.0);
}

Seen plateau(const MeasuredFacts& facts) {
    if (has_few_samples(facts) || facts.outcome.stop_reason != StopReason::kPlateau) {
        return std::nullopt;
    }
    return rounded(facts.summary.ci_half_width_rel() * 100.0, 100.0);
}

Seen wide_interval(const MeasuredFacts& facts) {
    if (has_few_samples(facts) || plateau(facts) ||
        facts.summary.ci_half_width_rel() <= facts.settings.ci_rel) {
        return std::nullopt;
    }
    return rounded(facts.summary.ci_half_width_rel() * 100.0, 100.0);
}

Seen notable_drift(const MeasuredFacts& facts) {
    if (!facts.drift || std::abs(facts.drift->rel) <= kNotableDrift) return std::nullopt;
    return rounded(facts.drift->rel * 100.0, 10.0) + " % (" + facts.drift->by + ")";
}

std::string text_of(const WarningRule& rule, const std::string& value) {
    constexpr std::string_view kPlace = "{}";
    std::string text = std::string(rule.found) + ": " + rule.consequence + "; " + rule.remedy;
    if (const std::size_t at = text.find(kPlace); at != std::string::npos) {
        text.replace(at, kPlace.size(), value);
    }
    return text;
}

}  // namespace

const std::vector<WarningRule>& warning_rules() {
    static const std::vector<WarningRule> rules{
        {"shared-counters", shared_counters,
         "the processor's counters were shared: one ran {} % of the time",
         "counts are scaled up, null where none was taken", "stop perf and the NMI watchdog"},
        {"missing-profile", missing_profile, "no profile by operator: {}",
         "the latency stands without it", "leave --per-op out, or use another release"},
        {"unsteady-warmup", unsteady_warmup,
         "warm-up reached its time limit before the latency was steady",
         "the first samples may be slower than the rest", "raise --max-secs"},
        {"less-waiting", less_waiting, "nearly every sample was preempted",
         "the summary is over these too, less the time they waited for the core",
         "calm the machine for a better number"},
        {"slow-or-preempted", slow_or_preempted,
         "nearly every sample was preempted or ran on a slow machine",
         "the summary is over both, less the time they waited for the core",
         "calm the machine for a better number"},
        {"all-disturbed", all_disturbed, "nearly every sample was disturbed",
         "the summary is over all of them", "calm the machine and repeat"},
        {"half-disturbed", half_disturbed, "more than half of the samples were disturbed",
         "the summary is over the others, which may have had a share of it",
         "calm the machine and repeat"},
        {"few-samples", few_samples, "too few independent samples for a 95 % interval",
         "the interval is their range and holds the median with {} %", "raise --max-secs"},
        {"plateau", plateau, "more samples do not narrow the interval of +-{} %",
         "the noise does not average out", "calm the machine, or ask for less (--ci)"},
        {"wide-interval", wide_interval, "stopped with an interval of +-{} %, wider than asked for",
         "the median is known no better", "raise --max-secs"},
        {"drift", notable_drift, "the machine drifted by {} while measuring",
         "the latency is of no one state of it", "repeat when it is calm"},
    };
    return rules;
}

std::vector<std::string> warnings_of(const MeasuredFacts& facts) {
    std::vector<std::string> warnings;
    for (const WarningRule& rule : warning_rules()) {
        if (const Seen value = rule.seen(facts)) warnings.push_back(text_of(rule, *value));
    }
    return warnings;
}

}  // namespace edgeprof
