#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/sha256.h"
#include "board/isolation.h"
#include "board/job.h"
#include "record/record.h"
#include "runtimes/backend.h"
#include "runtimes/input_values.h"
#include "timing/conditions.h"
#include "timing/core_choice.h"
#include "timing/counters.h"
#include "timing/disturbance.h"
#include "timing/measure.h"
#include "timing/registers.h"

using namespace edgeprof;

namespace {

// A model whose inferences are a function of their number.
class FakeModel final : public LoadedModel {
  public:
    explicit FakeModel(std::function<bool(int)> inference) : inference_(std::move(inference)) {}
    bool invoke() noexcept override { return inference_(n_++); }
    std::string failure() const override { return "tensor went astray"; }
    const std::vector<TensorFacts>& inputs() const override { return none_; }
    const std::vector<TensorFacts>& outputs() const override { return none_; }
    std::string options_json() const override { return "{}"; }
    int count() const { return n_; }

  private:
    std::function<bool(int)> inference_;
    std::vector<TensorFacts> none_;
    int n_ = 0;
};

void busy_wait_us(std::int64_t duration_us) {
    const std::int64_t end_ns = monotonic_raw_ns() + duration_us * 1000;
    while (monotonic_raw_ns() < end_ns) {
    }
}

MeasureSettings quick() { return {0.5, 0.0, 1.0, 20, 1000, false, {}, 0.0}; }

Outcome measure_one(LoadedModel& model, const MeasureSettings& settings, Clock& clock) {
    return std::move(measure({{&model, nullptr, settings}}, 0, clock, {}).front());
}

Samples samples_of(std::vector<std::int64_t> latency_ns, std::vector<std::uint16_t> disturbed) {
    Samples samples;
    samples.latency_ns = std::move(latency_ns);
    samples.disturbed = std::move(disturbed);
    return samples;
}

}  // namespace

TEST_CASE("latencies come out as long as the model took") {
    FakeModel model([](int) {
        busy_wait_us(500);
        return true;
    });
    Clock clock = Clock::best();
    MeasureSettings settings = quick();
    settings.max_secs = 30.0;  // on a busy machine; else it ends within tenths of a second
    const Outcome outcome = measure_one(model, settings, clock);
    CHECK(outcome.stop_reason == StopReason::kInterval);
    CHECK(outcome.samples.latency_ns.size() >= 20);
    for (const std::int64_t ns : outcome.samples.latency_ns) CHECK(ns >= 499'000);
    CHECK(outcome.samples.disturbed.size() == outcome.samples.latency_ns.size());
    // Every inference is the first, a warm-up, or a sample: none is lost.
    CHECK(static_cast<std::size_t>(model.count()) ==
          1 + outcome.warmup.n + outcome.samples.latency_ns.size());
}

TEST_CASE("a first inference that is slow is told apart and does not enter the samples") {
    FakeModel model([](int n) {
        busy_wait_us(n == 0 ? 20'000 : 200);
        return true;
    });
    Clock clock = Clock::best();
    const Outcome outcome = measure_one(model, quick(), clock);
    CHECK(outcome.first_inference_ns >= 19'900'000);
    CHECK(summarize(outcome.samples).latency_median_ns < 10'000'000.0);
}

TEST_CASE("a failure in the middle ends the run and keeps what there was") {
    FakeModel model([](int n) {
        busy_wait_us(100);
        return n < 25;
    });
    Clock clock = Clock::best();
    const Outcome outcome = measure_one(model, quick(), clock);
    CHECK(outcome.stop_reason == StopReason::kFailed);
    CHECK(outcome.failure == "tensor went astray");
    CHECK(outcome.samples.latency_ns.size() + outcome.warmup.n + 1 == 25);
}

TEST_CASE("bounds hold: of samples and of time") {
    Clock clock = Clock::best();
    FakeModel quick_model([](int) { return true; });
    MeasureSettings settings = quick();
    settings.ci_rel = 1e-6;
    settings.max_samples = 777;
    const Outcome by_count = measure_one(quick_model, settings, clock);
    CHECK(by_count.samples.latency_ns.size() <= 777);

    FakeModel erratic([](int n) {
        busy_wait_us(n % 2 == 0 ? 100 : 3000);
        return true;
    });
    settings.max_samples = 1'000'000;
    settings.max_secs = 0.3;
    const std::int64_t start_ns = monotonic_raw_ns();
    const Outcome by_time = measure_one(erratic, settings, clock);
    CHECK(by_time.stop_reason != StopReason::kInterval);
    CHECK(monotonic_raw_ns() - start_ns < 2'000'000'000);
}

TEST_CASE("a model too slow for the time given keeps what fits, one sample at least") {
    Clock clock = Clock::best();
    MeasureSettings settings = quick();
    settings.ci_rel = 1e-6;
    settings.max_secs = 0.1;
    const auto slow = [](std::int64_t duration_us) {
        return [duration_us](int) {
            busy_wait_us(duration_us);
            return true;
        };
    };
    FakeModel beyond(slow(80'000));
    std::vector<std::int64_t> told_ns;
    const std::vector<Outcome> outcomes =
        measure({{&beyond, nullptr, settings}}, 0, clock,
                [&told_ns](std::int64_t latency_ns) { told_ns.push_back(latency_ns); });
    CHECK(outcomes.front().stop_reason == StopReason::kMaxSecs);
    CHECK(outcomes.front().samples.latency_ns.size() == 1);
    CHECK(beyond.count() == 2);  // the first inference and the sample: no time to warm up
    CHECK(told_ns == std::vector<std::int64_t>{outcomes.front().first_inference_ns});
    // Rounds of six samples each would take ten times as long as there is.
    std::vector<std::unique_ptr<FakeModel>> models;
    std::vector<Subject> subjects;
    for (int i = 0; i < 4; ++i) {
        models.push_back(std::make_unique<FakeModel>(slow(25'000)));
        subjects.push_back({models.back().get(), nullptr, settings});
    }
    int n_inferences = 0;
    for (const Outcome& outcome : measure(subjects, 0, clock, {})) {
        CHECK(outcome.stop_reason == StopReason::kMaxSecs);
        CHECK(!outcome.samples.latency_ns.empty());
    }
    for (const auto& model : models) n_inferences += model->count();
    CHECK(n_inferences <= 4 * 100 / 25 + 4);  // the time given, and one sample of each at most
}

TEST_CASE("the whole span holds the loops, and what lies between blocks") {
    FakeModel model([](int) {
        busy_wait_us(5000);
        return true;
    });
    Clock clock = Clock::best();
    MeasureSettings settings = quick();
    settings.min_secs = 0.2;
    const Outcome outcome = measure_one(model, settings, clock);
    CHECK(outcome.blocks.size() > 2);
    CHECK(outcome.sampling_span_ns > outcome.sampling_wall_ns);
    std::int64_t sum_ns = 0;
    for (const std::int64_t ns : outcome.samples.latency_ns) sum_ns += ns;
    CHECK(outcome.sampling_wall_ns > sum_ns);
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
    CHECK(mask({6, 100, 1, 500'000, 3}) == (kPreempted | kMigrated | kPageFault));
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

TEST_CASE("interleaved models take turns, in an order that changes, each in every round") {
    std::string turns;
    const auto player = [&turns](char name) {
        return [&turns, name](int) {
            busy_wait_us(2000);
            if (turns.empty() || turns.back() != name) turns.push_back(name);
            return true;
        };
    };
    FakeModel a(player('a')), b(player('b'));
    MeasureSettings settings = quick();
    settings.min_secs = 0.4;
    settings.max_secs = 60.0;
    Clock clock = Clock::best();
    const std::vector<Outcome> outcomes =
        measure({{&a, nullptr, settings}, {&b, nullptr, settings}}, 1, clock, {});
    REQUIRE(outcomes.size() == 2);
    CHECK(outcomes[0].blocks.size() == outcomes[1].blocks.size());
    CHECK(outcomes[0].blocks.size() > 3);
    for (const Outcome& outcome : outcomes) {
        for (std::size_t round = 0; round + 1 < outcome.blocks.size(); ++round) {
            CHECK((outcome.samples.disturbed[outcome.blocks[round].end_sample] & kAfterSwitch));
        }
    }
    CHECK(turns.size() > 4);
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

TEST_CASE("a machine known to be faster is waited for, and the slowness told") {
    FakeModel model([](int) {
        busy_wait_us(200);
        return true;
    });
    Clock clock = Clock::best();
    MeasureSettings settings = quick();
    settings.max_secs = 0.4;
    settings.max_samples = 100'000;
    settings.calm_canary_ns = 1.0;
    const Outcome slow = measure_one(model, settings, clock);
    CHECK(slow.is_slow_throughout);
    CHECK(slow.stop_reason == StopReason::kMaxSecs);
    CHECK(slow.calm_canary_ns > 1.0);
    CHECK(summarize(slow.samples).n_undisturbed > 0);
    settings.calm_canary_ns = 1e9;
    const Outcome calm = measure_one(model, settings, clock);
    CHECK_FALSE(calm.is_slow_throughout);
    CHECK(calm.calm_canary_ns < 1e9);
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

TEST_CASE("a core that is slow twice in a row may be left for another") {
    CoreChoice choice({0, 2, 3});
    CHECK(choice.cpus().empty());
    CHECK_FALSE(choice.is_due(true));
    CHECK_FALSE(choice.is_due(false));
    CHECK_FALSE(choice.is_due(true));
    CHECK(choice.is_due(true));
    CHECK_FALSE(choice.is_due(true));
    CHECK(choice.others(2) == std::vector<int>{3, 0});
    CHECK(choice.others(3) == std::vector<int>{0, 2});
    choice.move_to(3);
    CHECK(choice.cpus() == std::vector<int>{3});
    CoreChoice single({1});
    for (int i = 0; i < 5; ++i) CHECK_FALSE(single.is_due(true));
}

TEST_CASE("cores are alike by capacity, part and highest clock") {
    const std::string boards = EDGEPROF_TEST_BOARDS;
    const std::vector<int> all{0, 1, 2, 3, 4, 5, 6, 7};
    CHECK(cores_like(1, all, boards + "/rock-5b") == std::vector<int>{0, 1, 2, 3});
    const std::vector<int> big = cores_like(4, all, boards + "/rock-5b");
    CHECK(std::find(big.begin(), big.end(), 0) == big.end());
    CHECK(std::find(big.begin(), big.end(), 5) != big.end());
}
