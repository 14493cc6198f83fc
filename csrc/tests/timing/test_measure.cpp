#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/sha256.h"
#include "record/record.h"
#include "runtimes/input_values.h"
#include "tests/timing/fake_instruments.h"
#include "timing/block_plan.h"
#include "timing/conditions.h"
#include "timing/disturbance.h"
#include "timing/measure.h"

using namespace edgeprof;

namespace {

// One model on a machine of its own.
struct Bench {
    FakeClock clock;
    FakeInstruments instruments{clock};
    FakeModel model;

    explicit Bench(std::function<std::int64_t(int)> inference_us)
        : model(clock, std::move(inference_us)) {}
    Outcome measure(const MeasureSettings& settings) {
        return std::move(edgeprof::measure({{&model, &instruments, settings}}, 0, {}).front());
    }
};

// Latencies that scatter by a few per cent around a mean, the same in each run.
std::function<std::int64_t(int)> around_us(std::int64_t mean_us) {
    return [mean_us](int n) { return mean_us + mean_us * (n * 7 % 11 - 5) / 200; };
}

MeasureSettings quick() { return {0.5, 0.0, 1.0, 20, 1000, false, {}, 10.0, 10.0}; }

Samples samples_of(std::vector<std::int64_t> latency_ns, std::vector<std::uint16_t> disturbed) {
    Samples samples;
    samples.latency_ns = std::move(latency_ns);
    samples.disturbed = std::move(disturbed);
    return samples;
}

}  // namespace

TEST_CASE("latencies come out as long as the model took") {
    Bench bench(around_us(500));
    const Outcome outcome = bench.measure(quick());
    CHECK(outcome.stop_reason == StopReason::kInterval);
    CHECK(outcome.samples.latency_ns.size() >= 20);
    for (const std::int64_t ns : outcome.samples.latency_ns) {
        CHECK(ns >= 485'000);
        CHECK(ns <= 515'000);
    }
    CHECK(outcome.samples.disturbed.size() == outcome.samples.latency_ns.size());
    // Every inference is the first, a warm-up, or a sample: none is lost.
    CHECK(static_cast<std::size_t>(bench.model.count()) ==
          1 + outcome.warmup.n + outcome.samples.latency_ns.size());
}

TEST_CASE("the real clock and the real machine time a model that does nothing") {
    FakeClock unused;
    FakeModel model(unused, [](int) { return 0; });
    Clock clock = Clock::best();
    MachineInstruments instruments(clock, nullptr, quick(), "/", nullptr);
    const Outcome outcome = std::move(measure({{&model, &instruments, quick()}}, 0, {}).front());
    CHECK(outcome.samples.latency_ns.size() >= 20);
    CHECK(outcome.samples.latency_ns.size() == outcome.samples.start_ns.size());
    CHECK(std::is_sorted(outcome.samples.start_ns.begin(), outcome.samples.start_ns.end()));
    CHECK(outcome.sampling_wall_ns > 0);
    CHECK(outcome.blocks.size() >= 2);
}

TEST_CASE("a first inference that is slow is told apart and does not enter the samples") {
    Bench bench([](int n) { return n == 0 ? 20'000 : 200; });
    const Outcome outcome = bench.measure(quick());
    CHECK(outcome.first_inference_ns == 20'000'000);
    CHECK(summarize(outcome.samples).latency_median_ns == 200'000.0);
    CHECK(outcome.samples.start_ns.front() > 20'000'000);
}

TEST_CASE("a failure in the middle ends the run and keeps what there was") {
    Bench bench([](int n) { return n < 25 ? 20'000 : -1; });
    const Outcome outcome = bench.measure(quick());
    CHECK(outcome.stop_reason == StopReason::kFailed);
    CHECK(outcome.failure == "tensor went astray");
    CHECK(outcome.samples.latency_ns.size() + outcome.warmup.n + 1 == 25);
}

TEST_CASE("bounds hold: of samples and of time") {
    Bench quick_model([](int) { return 1; });
    MeasureSettings settings = quick();
    settings.ci_rel = 1e-6;
    settings.min_secs = 0.5;
    settings.max_samples = 777;
    const Outcome by_count = quick_model.measure(settings);
    CHECK(by_count.stop_reason == StopReason::kMaxSamples);
    CHECK(by_count.samples.latency_ns.size() == 777);

    Bench erratic([](int n) { return n % 2 == 0 ? 100 : 3000; });
    settings.max_samples = 1'000'000;
    settings.max_secs = 0.3;
    const Outcome by_time = erratic.measure(settings);
    CHECK(by_time.stop_reason == StopReason::kMaxSecs);
    CHECK(by_time.sampling_span_ns <= 310'000'000);
}

TEST_CASE("a model too slow for the time given is timed as often as a result needs") {
    MeasureSettings settings = quick();
    settings.ci_rel = 1e-6;
    settings.max_secs = 0.1;
    Bench slow([](int) { return 80'000; });
    std::vector<std::int64_t> told_ns;
    const Outcome outcome =
        std::move(measure({{&slow.model, &slow.instruments, settings}}, 0,
                          [&told_ns](std::int64_t latency_ns) { told_ns.push_back(latency_ns); })
                      .front());
    CHECK(outcome.stop_reason == StopReason::kMaxSecs);
    CHECK(outcome.samples.latency_ns.size() == 10);
    CHECK(told_ns == std::vector<std::int64_t>{80'000'000});

    // Eight seconds each: one inference warms it up. Of those beyond ten seconds, three will do.
    settings.max_load_secs = 60.0;
    Bench slower([](int) { return 8'000'000; });
    CHECK(slower.measure(settings).samples.latency_ns.size() == 10);
    CHECK(slower.model.count() == 12);
    Bench slowest([](int) { return 11'000'000; });
    const Outcome few = slowest.measure(settings);
    CHECK(few.samples.latency_ns.size() == 3);
    CHECK(few.warmup.end == WarmupEnd::kSteady);

    // In turns, rounds of six samples each would take ten times as long as there is.
    FakeClock clock;
    FakeInstruments instruments(clock);
    std::vector<FakeModel> models(4, FakeModel(clock, [](int) { return 25'000; }));
    std::vector<Subject> subjects;
    for (FakeModel& model : models) subjects.push_back({&model, &instruments, settings});
    int n_timed = 0;
    for (const Outcome& of_one : measure(subjects, 0, {})) {
        CHECK(of_one.stop_reason == StopReason::kMaxSecs);
        CHECK(of_one.samples.latency_ns.size() >= 10);
        n_timed += static_cast<int>(of_one.samples.latency_ns.size());
    }
    CHECK(n_timed <= 4 * 10 + 4 * 2);  // the fewest, and the rest of a round
}

TEST_CASE("the first inference and the warm-up take nothing off the time of sampling") {
    Bench bench([](int n) { return n == 0 ? 2'000'000 : 3000 + n % 2; });
    MeasureSettings settings = quick();
    settings.ci_rel = 1e-6;
    settings.min_secs = settings.max_secs = 1.0;
    settings.max_samples = 100'000;
    const Outcome outcome = bench.measure(settings);
    CHECK(outcome.first_inference_ns == 2'000'000'000);
    CHECK(outcome.warmup.n >= 10);
    CHECK(outcome.samples.latency_ns.size() > 300);
}

TEST_CASE("the whole span holds the loops, and what lies between blocks") {
    Bench bench([](int) { return 5000; });
    MeasureSettings settings = quick();
    settings.min_secs = 0.2;
    const Outcome outcome = bench.measure(settings);
    CHECK(outcome.blocks.size() > 2);
    CHECK(outcome.sampling_span_ns > outcome.sampling_wall_ns);
    std::int64_t sum_ns = 0;
    for (const std::int64_t ns : outcome.samples.latency_ns) sum_ns += ns;
    CHECK(outcome.sampling_wall_ns > sum_ns);
}

TEST_CASE("a model that touches fresh pages in some inferences is timed with all of them") {
    // Two of three inferences map memory and take twice as long: that is the model's latency.
    std::int64_t n_faults = 0;
    Bench bench([&n_faults](int n) {
        if (n % 3 == 0) return 10'000;
        n_faults += 500;
        return 20'000;
    });
    bench.instruments.evidence = [&n_faults] { return Evidence{0, n_faults, 0, 0, 0}; };
    MeasureSettings settings = quick();
    settings.min_secs = 0.6;
    const Outcome outcome = bench.measure(settings);
    const Summary summary = summarize(outcome.samples);
    CHECK(summary.n_undisturbed == summary.n_samples);
    CHECK(summary.latency_median_ns == 20'000'000.0);
    CHECK(outcome.page_faults.minor >= 500 * 10);
    CHECK(outcome.page_faults.major == 0);
}

TEST_CASE("blocks beside a slow canary are left out while there are calm ones") {
    Bench bench([&bench](int) { return bench.clock.now_ns / 100'000'000 % 2 == 0 ? 1000 : 1500; });
    bench.instruments.canary_ns = [&bench]() -> std::int64_t {
        return bench.clock.now_ns / 100'000'000 % 2 == 0 ? 100'000 : 160'000;
    };
    MeasureSettings settings = quick();
    settings.max_samples = 100'000;
    settings.min_secs = 0.6;
    const Outcome outcome = bench.measure(settings);
    CHECK(outcome.calm_canary_ns == 100'000.0);
    CHECK(summarize(outcome.samples).basis == Basis::kUndisturbed);
    CHECK(summarize(outcome.samples).latency_median_ns == 1'000'000.0);
}

TEST_CASE("a model is warm when its latency is steady, or its time for that is over") {
    MeasureSettings settings = quick();
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
    WarmupRule rule(quick(), 1e6, true);
    for (int i = 0; i < 100; ++i) rule.add(1e6);
    CHECK_FALSE(rule.is_warm(0.5));
    CHECK(rule.is_warm(1.0));
    CHECK(rule.has_time(4.0));
    MeasureSettings in_turns = quick();  // a campaign's visits warm up too
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
    MeasureSettings settings = quick();
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

TEST_CASE("interleaved models take turns, in an order that changes, each in every round") {
    std::string turns;
    FakeClock clock;
    FakeInstruments instruments(clock);
    const auto player = [&turns](char name) {
        return [&turns, name](int) {
            if (turns.empty() || turns.back() != name) turns.push_back(name);
            return 2000;
        };
    };
    FakeModel a(clock, player('a')), b(clock, player('b'));
    MeasureSettings settings = quick();
    settings.min_secs = 0.4;
    settings.max_secs = 60.0;
    const std::vector<Outcome> outcomes =
        measure({{&a, &instruments, settings}, {&b, &instruments, settings}}, 1, {});
    REQUIRE(outcomes.size() == 2);
    CHECK(outcomes[0].blocks.size() == outcomes[1].blocks.size());
    CHECK(outcomes[0].blocks.size() > kMinRounds);
    for (const Outcome& outcome : outcomes) {
        for (std::size_t round = 0; round + 1 < outcome.blocks.size(); ++round) {
            CHECK((outcome.samples.disturbed[outcome.blocks[round].end_sample] & kAfterSwitch));
        }
    }
    CHECK(turns.size() > 4);
    CHECK(turns.size() < 2 * outcomes[0].blocks.size());  // some rounds began with the last one's
}

TEST_CASE("the summary is over undisturbed samples, or over all when there are none") {
    const Summary clean =
        summarize(samples_of({10, 900, 12, 11, 800, 10, 11, 12, 11}, {0, 1, 0, 0, 2, 0, 0, 0, 0}));
    CHECK(clean.basis == Basis::kUndisturbed);
    CHECK(clean.n_samples == 9);
    CHECK(clean.n_undisturbed == 7);
    CHECK(clean.latency_median_ns == 11.0);
    CHECK(clean.latency_min_ns == 10.0);
    const Summary hopeless = summarize(samples_of({10, 20, 30}, {1, 1, 1}));
    CHECK(hopeless.n_undisturbed == 0);
    CHECK(hopeless.basis == Basis::kAll);
    CHECK(hopeless.latency_median_ns == 20.0);
    CHECK(hopeless.ci_level < 0.95);
}

TEST_CASE("where every sample was preempted, the time waited for the core is taken off") {
    Samples busy = samples_of({150, 210, 101, 300, 180, 100}, {1, 1, 1, 1, 1, 2});
    busy.waited_ns = {50, 110, 0, 201, 80, 0};
    busy.latency_ns.push_back(125);
    busy.disturbed.push_back(1);
    busy.waited_ns.push_back(25);
    busy.latency_ns.push_back(99);  // a wait that belongs to the sample before it
    busy.disturbed.push_back(1);
    busy.waited_ns.push_back(120);
    const Summary summary = summarize(busy);
    CHECK(summary.basis == Basis::kLessWaiting);
    CHECK(summary.n_undisturbed == 0);
    CHECK(summary.latency_median_ns == 100.0);
    CHECK(summary.latency_mean_ns < 101.0);
    CHECK(summary.n_used == 6);
    CHECK(summary.latency_min_ns == 99.0);
    // All were preempted: the least of the raw ones would lie above the median.
    Samples all = samples_of({150, 210, 181, 300, 180, 205}, {1, 1, 1, 1, 1, 1});
    all.waited_ns = {50, 110, 81, 201, 80, 200};
    const Summary corrected = summarize(all);
    CHECK(corrected.basis == Basis::kAll);
    CHECK(corrected.latency_min_ns <= corrected.latency_median_ns);
    all.latency_ns.push_back(201);
    all.disturbed.push_back(1);
    all.waited_ns.push_back(99);
    const Summary plausible = summarize(all);
    CHECK(plausible.basis == Basis::kLessWaiting);
    CHECK(plausible.n_used == 6);
    CHECK(plausible.latency_min_ns == 99.0);
    CHECK(plausible.latency_p95_ns < 103.0);
}

TEST_CASE("what the kernel counted between two readings is what disturbed") {
    const Evidence before{5, 100, 0, 1000, 2};
    const auto mask = [&](const Evidence& after) {
        return disturbance_between(before, after, 1'000'000);
    };
    CHECK(mask(before) == 0);
    CHECK(mask({6, 100, 0, 500'000, 2}) == kPreempted);
    CHECK(mask({6, 100, 0, 1500, 2}) == 0);         // a glimpse
    CHECK(mask({6, 100, 0, -1, 2}) == kPreempted);  // the kernel does not say how long
    CHECK(mask({5, 100, 0, 1000, 3}) == kMigrated);
    CHECK(mask({6, 900, 1, 500'000, 3}) == (kPreempted | kMigrated));  // page faults count
}

TEST_CASE("SHA-256 of the standard's examples") {
    CHECK(sha256_of_bytes("abc") ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256_of_bytes("") ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_of_bytes(std::string(1'000'000, 'a')) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK(sha256_of_file("/no/such/file").empty());
}

TEST_CASE("messages of runtimes become one line") {
    CHECK(one_line(" a\n\tb  c\r\n") == "a b c");
    CHECK(one_line(std::string(5000, 'x')).size() < 700);
}

TEST_CASE("inputs are the same for the same seed, other for another, and never denormal") {
    float a[1000], b[1000], c[1000];
    fill_input(a, 1000, "float32", 1, 0);
    fill_input(b, 1000, "float32", 1, 0);
    fill_input(c, 1000, "float32", 2, 0);
    CHECK(std::memcmp(a, b, sizeof a) == 0);
    CHECK(std::memcmp(a, c, sizeof a) != 0);
    for (const float value : a) {
        CHECK(value >= -1.0f);
        CHECK(value < 1.0f);
        CHECK((value == 0.0f || std::abs(value) > 1e-30f));
    }
    CHECK(bytes_per_element("string") == 0);
}

TEST_CASE("few samples beside a calm canary count before many beside a slow one") {
    Samples samples = samples_of(std::vector<std::int64_t>(40, 130),
                                 std::vector<std::uint16_t>(40, kSlowMachine));
    for (std::size_t i = 0; i < 7; ++i) {
        samples.latency_ns[i] = 100;
        samples.disturbed[i] = 0;
    }
    samples.waited_ns.assign(40, 0);
    CHECK(summarize(samples).latency_median_ns == 100.0);
    for (std::size_t i = 0; i < 7; ++i) samples.disturbed[i] = kMigrated;
    const Summary slow = summarize(samples);
    CHECK(slow.basis == Basis::kSlowMachine);
    CHECK(slow.latency_median_ns == 130.0);
    CHECK(slow.n_used == 33);
}

TEST_CASE("calm is the lowest reading that is no single luck") {
    std::vector<BlockConditions> blocks(100);
    for (BlockConditions& block : blocks) block.canary_ns = 200;
    CHECK(calm_canary_ns(blocks) == 200.0);
    blocks[7].canary_ns = blocks[70].canary_ns = 90;
    CHECK(calm_canary_ns(blocks) == 200.0);
    blocks[50].canary_ns = 100;
    CHECK(calm_canary_ns(blocks) == 100.0);
    blocks.resize(2);
    blocks[1].canary_ns = 250;
    CHECK(calm_canary_ns(blocks) == 250.0);
}

TEST_CASE("blocks under other conditions than the rest are marked") {
    const auto block = [](std::size_t end, std::int64_t canary_ns, std::int64_t khz,
                          std::int64_t steal, bool is_throttled) {
        BlockConditions conditions{};
        conditions.end_sample = end;
        conditions.canary_ns = canary_ns;
        conditions.freq_khz = {khz};
        conditions.steal_ticks = steal;
        conditions.is_throttled = is_throttled;
        return conditions;
    };
    const std::vector<BlockConditions> blocks{
        block(0, 100, 1500, 0, false), block(2, 100, 1500, 0, false),
        block(4, 130, 1500, 0, false), block(6, 101, 1200, 0, false),
        block(8, 99, 1500, 1, true),   block(10, 100, 1500, 1, false)};
    std::vector<std::uint16_t> disturbed(10, 0);
    CHECK(calm_canary_ns(blocks) == 100.0);
    mark_conditions(blocks, calm_canary_ns(blocks), disturbed);
    CHECK(disturbed == std::vector<std::uint16_t>{0, 0, kSlowMachine, kSlowMachine, kFrequency,
                                                  kFrequency, kStolen | kThrottled,
                                                  kStolen | kThrottled, 0, 0});
}
