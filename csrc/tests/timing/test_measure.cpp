#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "tests/timing/fake_instruments.h"
#include "timing/block_plan.h"
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

TEST_CASE("after each round it is told how far every model is, until none needs more") {
    FakeClock clock;
    FakeInstruments instruments(clock);
    FakeModel a(clock, around_us(2000)), b(clock, around_us(3000));
    MeasureSettings settings = quick();
    settings.max_secs = 60.0;
    std::vector<std::vector<RunStatus>> told;
    const std::vector<Outcome> outcomes =
        measure({{&a, &instruments, settings}, {&b, &instruments, settings}}, 1, {}, nullptr,
                [&](const StatusReader& read_status) { told.push_back(read_status()); });
    REQUIRE(told.size() + 1 == outcomes[0].blocks.size());
    CHECK(told.front().size() == 2);
    CHECK(told.front()[0].waits_for == WaitsFor::kSamples);
    CHECK_FALSE(told.front()[0].estimate);
    CHECK(told.front()[0].latency_ns == doctest::Approx(2e6).epsilon(0.03));
    for (std::size_t i = 0; i < 2; ++i) {
        const RunStatus& last = told.back()[i];
        CHECK(last.waits_for == WaitsFor::kNothing);
        CHECK(last.n_samples == outcomes[i].samples.latency_ns.size());
        REQUIRE(last.estimate);
        CHECK(last.estimate->median == summarize(outcomes[i].samples).latency_median_ns);
    }
}

TEST_CASE("a model waits for calm inferences while all are disturbed, then for its interval") {
    Bench bench(around_us(2000));
    int cpu = 0;
    bench.instruments.evidence = [&]() {
        Evidence evidence{};
        if (bench.clock.now_ns < 3'000'000'000) cpu = 1 - cpu;  // the thread wanders
        evidence.cpu = cpu;
        return evidence;
    };
    MeasureSettings settings = quick();
    settings.ci_rel = 1e-6;
    settings.max_secs = 6.0;
    settings.max_samples = 100'000;
    std::vector<WaitsFor> told;
    measure({{&bench.model, &bench.instruments, settings}}, 0, {}, nullptr,
            [&](const StatusReader& read_status) {
                const WaitsFor wanted = read_status()[0].waits_for;
                if (told.empty() || told.back() != wanted) told.push_back(wanted);
            });
    CHECK(told == std::vector<WaitsFor>{WaitsFor::kSamples, WaitsFor::kCalm, WaitsFor::kInterval,
                                        WaitsFor::kNothing});
}
