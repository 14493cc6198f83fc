// When a model is warm, how long its blocks are, when its measurement ends.
#include <doctest/doctest.h>

#include "timing/block_plan.h"
#include "timing/stop_decision.h"
#include "timing/warmup.h"

using namespace edgeprof;

namespace {

MeasureSettings calm_settings() { return {0.5, 0.0, 1.0, 20, 1000, false, {}, 10.0, 10.0}; }

}  // namespace

TEST_CASE("a model is warm when its latency is steady, or its time for that is over") {
    MeasureSettings settings = calm_settings();
    WarmupRule rule(settings, 1e6, false);
    CHECK(rule.has_time(0.0));
    for (int i = 0; i < 10; ++i) rule.add(1e6);
    CHECK(rule.is_warm(0.2));
    CHECK_FALSE(rule.is_warm(0.05));  // a clock that has not had the time to rise
    for (int i = 0; i < 10; ++i) rule.add(1e6 / (1.0 + i));
    CHECK_FALSE(rule.is_warm(0.2));
    CHECK_FALSE(rule.has_time(0.5));
    const WarmupRule endless(settings, 8e9, false);  // max_load_secs is 10
    CHECK_FALSE(endless.has_time(0.0));
    settings.max_load_secs = 20.0;
    WarmupRule long_one(settings, 8e9, false);
    CHECK(long_one.has_time(0.0));
    long_one.add(8e9);
    CHECK(long_one.is_warm(8.0));
}

TEST_CASE("a device is warmed up by time as well as by count") {
    WarmupRule rule(calm_settings(), 1e6, true);
    for (int i = 0; i < 100; ++i) rule.add(1e6);
    CHECK_FALSE(rule.is_warm(0.5));
    CHECK(rule.is_warm(1.0));
    CHECK(rule.has_time(4.0));
    MeasureSettings in_turns = calm_settings();  // a campaign's visits warm up too
    in_turns.max_warmup_secs = 0.1;
    WarmupRule brief(in_turns, 1e6, true);
    for (int i = 0; i < 100; ++i) brief.add(1e6);
    CHECK(brief.is_warm(0.1));
    CHECK_FALSE(brief.has_time(0.1));
}

TEST_CASE("blocks are short, and reading costs a small share of them") {
    BlockPlanFacts facts{1e6, {20.0, 1000.0, 200'000.0, 100.0}, true, false, false, 100'000};
    CHECK(plan_blocks(facts).block_samples == 19);  // 20 ms, of which the conditions are 1 %
    CHECK(plan_blocks(facts).evidence_samples == 1);
    CHECK(plan_blocks(facts).reads_counters);
    facts.latency_ns = 1000.0;
    CHECK(plan_blocks(facts).evidence_samples == 98);
    CHECK_FALSE(plan_blocks(facts).reads_counters);
    facts.latency_ns = 1e9;
    CHECK(plan_blocks(facts).block_samples == 1);
    facts.is_interleaved = true;
    BlockPlan plan = plan_blocks(facts);
    CHECK(plan.block_samples == 6);
    plan.shorten(0.01, facts.latency_ns);
    CHECK(plan.block_samples == 1);
}

TEST_CASE("a measurement ends by the first reason that holds, and not before its time") {
    MeasureSettings settings = calm_settings();
    settings.ci_rel = 0.01;
    settings.min_secs = 1.0;
    StopDecision decision(settings, false);
    CHECK_FALSE(decision.is_due({0.5, 100, 5, false}));
    CHECK(decision.is_due({0.5, 100, 5, true}));
    CHECK(decision.is_due({0.5, 1000, 5, false}));
    const UsedLatencies steady{Basis::kUndisturbed, 100, std::vector<double>(100, 1000.0)};
    CHECK_FALSE(decision.look({2.0, 100, 5, false}, steady));  // one look may be luck
    CHECK(decision.look({2.0, 110, 6, false}, steady) == StopReason::kInterval);
    decision.note_look({2.0, 110, 6, false}, 0.1);
    CHECK_FALSE(decision.is_due({6.0, 130, 7, false}));
    CHECK(decision.is_due({8.0, 130, 7, false}));
    const UsedLatencies slow{Basis::kSlowMachine, 0, std::vector<double>(100, 1000.0)};
    StopDecision patient(settings, false);
    for (int i = 0; i < 3; ++i) CHECK_FALSE(patient.look({2.0, 100, 5, false}, slow));
    CHECK(patient.look({2.0, 100, 5, true}, slow) == StopReason::kMaxSecs);
    StopDecision in_turns(settings, true);
    CHECK_FALSE(in_turns.is_due({2.0, 100, kMinRounds - 1, false}));
    CHECK(in_turns.is_due({2.0, 100, kMinRounds, false}));
}
