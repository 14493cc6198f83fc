#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <string>

#include "record/warnings.h"

using namespace edgeprof;

namespace {

// A measurement that there is nothing to say about, to be spoiled.
struct Measured {
    MeasureSettings settings{};
    Outcome outcome{};
    Summary summary{};
    std::optional<Drift> drift = Drift{0.03, "canary"};
    std::vector<CounterFacts> counters{{"cpu_cycles", CounterAccess::kRead, false, 0, 1.0},
                                       {"instructions", CounterAccess::kRead, false, 0, 0.9995}};
    std::string profile_failure;

    Measured() {
        settings.ci_rel = 0.01;
        outcome.warmup.end = WarmupEnd::kSteady;
        outcome.stop_reason = StopReason::kInterval;
        summary.basis = Basis::kUndisturbed;
        summary.n_samples = 100;
        summary.n_undisturbed = 50;
        summary.latency_median_ns = 1000.0;
        summary.ci = {990.0, 1010.0};
        summary.ci_level = 0.95;
    }
    std::vector<std::string> warnings() const {
        return warnings_of({settings, outcome, summary, drift, counters, profile_failure});
    }
};

// By rule: what makes it hold, and the words that must be told then.
struct Spoiled {
    std::function<void(Measured&)> spoil;
    const char* told;
};
const std::map<std::string, Spoiled> kSpoiled{
    {"shared-counters",
     {[](Measured& m) { m.counters[1].running_share = 0.75; }, "one ran 75 % of the time"}},
    {"missing-profile",
     {[](Measured& m) { m.profile_failure = "no disk"; }, "no profile by operator: no disk: "}},
    {"unsteady-warmup",
     {[](Measured& m) { m.outcome.warmup.end = WarmupEnd::kTimeLimit; }, "warm-up"}},
    {"less-waiting", {[](Measured& m) { m.summary.basis = Basis::kLessWaiting; }, "was preempted"}},
    {"slow-or-preempted",
     {[](Measured& m) { m.summary.basis = Basis::kSlowMachine; }, "ran on a slow machine"}},
    {"all-disturbed", {[](Measured& m) { m.summary.basis = Basis::kAll; }, "was disturbed"}},
    {"half-disturbed",
     {[](Measured& m) { m.summary.n_undisturbed = 49; }, "more than half of the samples"}},
    {"few-samples",
     {[](Measured& m) { m.summary.ci_level = 0.9375; }, "holds the median with 93.8 %"}},
    {"plateau",
     {[](Measured& m) {
          m.outcome.stop_reason = StopReason::kPlateau;
          m.summary.ci = {970.0, 1030.0};
      },
      "the interval of +-3 %"}},
    {"wide-interval",
     {[](Measured& m) { m.summary.ci = {985.0, 1015.0}; }, "an interval of +-1.5 %"}},
    {"drift", {[](Measured& m) { m.drift = Drift{-0.081, "reference"}; }, "-8.1 % (reference)"}},
};

}  // namespace

TEST_CASE("a clean measurement carries no warning") { CHECK(Measured().warnings().empty()); }

TEST_CASE("each rule holds when its condition does, and alone") {
    for (const WarningRule& rule : warning_rules()) {
        CAPTURE(rule.id);
        REQUIRE(kSpoiled.count(rule.id) == 1);
        const Spoiled& spoiled = kSpoiled.at(rule.id);
        Measured measured;
        spoiled.spoil(measured);
        const std::vector<std::string> warnings = measured.warnings();
        REQUIRE(warnings.size() == 1);
        const std::string& line = warnings.front();
        CAPTURE(line);
        CHECK(line.find(spoiled.told) != std::string::npos);
        CHECK(line.find(std::string("; ") + rule.remedy) != std::string::npos);
        CHECK(line.find("{}") == std::string::npos);
        CHECK(line.find('\n') == std::string::npos);
    }
    CHECK(kSpoiled.size() == warning_rules().size());
}

TEST_CASE("an interval that is wide is told once, by its reason") {
    Measured measured;
    measured.summary.ci = {900.0, 1100.0};
    measured.summary.ci_level = 0.5;
    measured.outcome.stop_reason = StopReason::kPlateau;
    REQUIRE(measured.warnings().size() == 1);
    CHECK(measured.warnings().front().find("too few independent samples") == 0);
    measured.summary.ci_level = 0.95;
    REQUIRE(measured.warnings().size() == 1);
    CHECK(measured.warnings().front().find("more samples do not narrow") == 0);
}

TEST_CASE("warnings stand in the order of the table") {
    Measured measured;
    measured.drift = Drift{0.05, "canary"};
    measured.profile_failure = "none";
    REQUIRE(measured.warnings().size() == 2);
    CHECK(measured.warnings()[0].find("no profile") == 0);
}
