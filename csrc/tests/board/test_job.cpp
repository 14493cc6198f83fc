#include <doctest/doctest.h>

#include <csignal>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "board/isolation.h"
#include "board/reader.h"
#include "board/run_job.h"
#include "record/model_weights.h"
#include "record/record.h"

using namespace edgeprof;

namespace {

// A measurement of one sample per block, each as slow as the canary beside it.
Outcome outcome_of(const std::vector<std::int64_t>& canaries_ns) {
    Outcome outcome{};
    outcome.sampling_span_ns = 1'000'000'000;
    outcome.blocks.resize(1);
    outcome.blocks[0].canary_ns = canaries_ns.front();
    for (const std::int64_t canary_ns : canaries_ns) {
        outcome.samples.latency_ns.push_back(canary_ns / 10);
        outcome.samples.disturbed.push_back(0);
        BlockConditions block{};
        block.end_sample = outcome.samples.latency_ns.size();
        block.canary_ns = canary_ns;
        outcome.blocks.push_back(block);
    }
    return outcome;
}

std::vector<std::int64_t> drifting(std::int64_t from_ns, std::int64_t to_ns) {
    std::vector<std::int64_t> all(12, from_ns);
    std::fill(all.begin() + 6, all.end(), to_ns);
    return all;
}

}  // namespace

TEST_CASE("a job is read with its defaults, and bad ones name the field") {
    const Job job = parse_job(
        R"({"model": "m.onnx", "library": "l.so", "threads": 3, "cpus": [1, 2], "ci_rel": 0.02,
            "shapes": {"x": [1, 3, 8, 8]}, "runtime_options": {"arena": false}, "seed": 5})");
    CHECK(job.job_id == "m.onnx");
    CHECK(job.subjobs.front().runtime == "onnxruntime");
    REQUIRE(job.subjobs.size() == 1);
    const Subjob& subjob = job.subjobs.front();
    CHECK(subjob.load.threads == 3);
    CHECK(subjob.measure.cpus == std::vector<int>{1, 2});
    CHECK(subjob.load.shapes.at("x").size() == 4);
    CHECK(subjob.measure.max_secs == 10.0);

    const auto complaint = [](const char* line) -> std::string {
        try {
            parse_job(line);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::kInvalidJob);
            return error.what();
        }
        return "";
    };
    const auto names = [&](const char* line, const char* part) {
        CAPTURE(line);
        CHECK(complaint(line).find(part) != std::string::npos);
    };
    names("{", "no JSON");
    names("[]", "object");
    names("{}", "'model'");
    names(R"({"model": "m", "thraeds": 2})", "'thraeds'");
    names(R"({"model": "m", "threads": 0})", "'threads'");
    names(R"({"model": "m", "threads": 1.5})", "'threads'");
    names(R"({"model": "m", "threads": "2"})", "'threads'");
    names(R"({"model": "m", "cpus": 3})", "'cpus'");
    names(R"({"model": "m", "ci_rel": 0})", "'ci_rel'");
    names(R"({"model": "m", "max_secs": -1})", "'max_secs'");
    names(R"({"model": "m", "shapes": {"x": [-1]}})", "'shapes.x'");
    names(R"({"model": "m", "runtime_options": 3})", "'runtime_options'");
    names(R"({"model": 3})", "'model'");
    names(R"({"model": "m", "counters": "some"})", "'counters'");
    names(R"({"interleave": [{"model": "a"}]})", "'interleave'");
    names(R"({"interleave": [{"model": "a"}, {"model": "b", "clock": "auto"}]})", "'clock'");
    names(R"({"interleave": [{"model": "a"}, {"model": "b"}], "threads": 2})", "'threads'");
}

TEST_CASE("a job runs to a record that is JSON, whatever the job") {
    const auto record_of = [](const char* line) {
        return json::parse(run_job(parse_job(line), {}));
    };
    const json::Value good =
        record_of(R"({"runtime": "null", "job_id": "j", "max_samples": 2000, "min_secs": 0})");
    CHECK(*good.find("job_id")->as_string() == "j");
    CHECK(good.find("samples")->find("latency_ns")->as_array()->size() > 0);
    CHECK(good.find("error") == nullptr);
    const json::Value bad = record_of(R"({"runtime": "abacus", "model": "/dev/null"})");
    CHECK(*bad.find("error")->find("kind")->as_string() == "InvalidModel");
}

TEST_CASE("a job in a process of its own survives what kills the runtime") {
    const auto error_of = [](const char* options) {
        const std::string line =
            std::string(
                R"({"runtime": "null", "max_secs": 0.2, "max_load_secs": 1, "runtime_options": )") +
            options + "}";
        return json::parse(run_isolated(parse_job(line), kNoReader));
    };
    const json::Value illegal = error_of(R"({"act": "illegal_instruction"})");
    CHECK(*illegal.find("error")->find("kind")->as_string() == "HarnessCrashed");
    CHECK(*illegal.find("error")->find("signal")->as_string() == std::to_string(SIGILL));
    CHECK(*illegal.find("error")->find("phase")->as_string() == "measuring");
    const json::Value aborted = error_of(R"({"act": "abort"})");
    CHECK(*aborted.find("error")->find("signal")->as_string() == std::to_string(SIGABRT));
    const json::Value failed = error_of(R"({"act": "fail"})");
    CHECK(*failed.find("error")->find("kind")->as_string() == "UnsupportedModel");
    const json::Value hung = error_of(R"({"act": "hang"})");
    CHECK(*hung.find("error")->find("kind")->as_string() == "HarnessTimeout");
    CHECK(*hung.find("error")->find("transient")->as_bool());
}

TEST_CASE("a job is given as long as its own slowest inferences need") {
    const Job job = parse_job(R"({"interleave": [{"runtime": "null"}, {"runtime": "null",
                                  "per_op_runs": 20}], "max_load_secs": 7})");
    CHECK(limit_secs(job, Phase::kLoading, 0, 0.0) == 7.0);
    // A slow first inference is no hang: the bound of loading holds until all are warm.
    CHECK(limit_secs(job, Phase::kMeasuring, 1, 0.0) >= 7.0);
    CHECK(limit_secs(job, Phase::kMeasuring, 1, 0.0) < 20.0);
    CHECK(limit_secs(job, Phase::kMeasuring, 2, 0.0) >= 20.0);
    CHECK(limit_secs(job, Phase::kMeasuring, 2, 0.0) < 30.0);
    // Two models of 15 s need 300 s for the fewest samples that make a result.
    CHECK(limit_secs(job, Phase::kMeasuring, 2, 30.0) >= 20.0 + 10 * 30.0);
    CHECK(limit_secs(job, Phase::kProfiling, 2, 15.0) >= 7.0 + 20 * 15.0);
}

TEST_CASE("drift is the change from the first third to the last") {
    CHECK(*relative_drift({10, 10, 10, 0, 0, 0, 11, 11, 11}) == doctest::Approx(0.1));
    CHECK_FALSE(relative_drift({1, 1, 1, 2, 2, 2, 3, 3}).has_value());
    CHECK(*canary_drift(outcome_of(drifting(1000, 1100)).blocks) == doctest::Approx(0.1));
}

TEST_CASE("a machine that drifts too far is refused, by what counts and no more") {
    const Job job = parse_job(R"({"runtime": "null"})");
    CHECK(judge_drift(job, {outcome_of(drifting(1000, 1050))})[0]->rel == doctest::Approx(0.05));
    CHECK_THROWS_WITH_AS(judge_drift(job, {outcome_of(drifting(1000, 1200))}),
                         doctest::Contains("drifted by 20.0 % while measuring (canary)"), Error);
    const Job lenient = parse_job(R"({"runtime": "null", "max_drift": 0.3})");
    CHECK(judge_drift(lenient, {outcome_of(drifting(1000, 1200))})[0]->rel == doctest::Approx(0.2));
    // Nor are a few samples of a slow model refused: it is only told.
    Outcome slow = outcome_of(drifting(12'000'000, 14'400'000));
    slow.samples.latency_ns.resize(10);
    slow.stop_reason = StopReason::kMaxSecs;
    CHECK(judge_drift(job, {slow})[0].has_value());
    // Nor does what changes within a moment.
    Outcome brief = outcome_of(drifting(1000, 1200));
    brief.sampling_span_ns = 200'000'000;
    CHECK_FALSE(judge_drift(job, {brief})[0].has_value());
    // Time that was waited for the core is no change of the machine.
    Outcome preempted = outcome_of(drifting(1000, 1200));
    preempted.samples.waited_ns.assign(12, 0);
    preempted.samples.disturbed.assign(12, 1u << 0);
    for (std::size_t i = 6; i < 12; ++i) preempted.samples.waited_ns[i] = 20;
    const auto waited = judge_drift(job, {preempted})[0];
    REQUIRE(waited.has_value());
    CHECK(waited->rel == 0.0);
    // What does not change the latency does not matter.
    Outcome unmoved = outcome_of(drifting(1000, 1200));
    std::fill(unmoved.samples.latency_ns.begin(), unmoved.samples.latency_ns.end(), 100);
    CHECK(judge_drift(job, {unmoved})[0]->rel == 0.0);
    // Slow blocks are marked, and the summary is over the others.
    Outcome marked = outcome_of(drifting(1000, 1200));
    for (int i = 0; i < 10; ++i) {
        marked.samples.latency_ns.push_back(100);
        marked.samples.disturbed.push_back(0);
        BlockConditions block{};
        block.end_sample = marked.samples.latency_ns.size();
        block.canary_ns = 1000;
        marked.blocks.push_back(block);
    }
    for (std::size_t i = 6; i < 12; ++i) marked.samples.disturbed[i] = 1u << 6;
    CHECK(judge_drift(job, {marked})[0]->rel == doctest::Approx(0.0));
}

TEST_CASE("a reference model tells the drift of all") {
    const Job job = parse_job(
        R"({"interleave": [{"runtime": "null"}, {"runtime": "null", "reference": true}]})");
    Outcome model = outcome_of(drifting(1000, 1000));
    Outcome reference = outcome_of(drifting(1000, 1000));
    for (std::size_t i = 6; i < 12; ++i) reference.samples.latency_ns[i] = 108;
    const std::vector<std::optional<Drift>> drifts = judge_drift(job, {model, reference});
    CHECK(drifts[0]->rel == doctest::Approx(0.08));
    CHECK(std::string(drifts[0]->by) == "reference");
    for (std::size_t i = 6; i < 12; ++i) reference.samples.latency_ns[i] = 120;
    CHECK_THROWS_AS(judge_drift(job, {model, reference}), Error);
}

TEST_CASE("jobs on several threads do not meet") {
    const Job job = parse_job(R"({"runtime": "null", "max_samples": 2000, "min_secs": 0,
                                  "max_secs": 0.5, "max_drift": 1000})");
    std::vector<std::string> records(2);
    std::vector<std::thread> threads;
    for (std::string& record : records) {
        threads.emplace_back([&job, &record] { record = run_job(job, {}); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::string& record : records) {
        CHECK(json::parse(record).find("summary") != nullptr);
    }
}

TEST_CASE("no mutation of a job line does more than be refused") {
    const std::string line =
        R"({"interleave": [{"model": "a\u00fc.onnx", "threads": 2, "cpus": [0, 1], "ci_rel": 1e-2,
            "shapes": {"x": [1, 3]}, "runtime_options": {"arena": false, "providers": ["x"]}},
            {"runtime": "null", "reference": true}], "clock": "auto", "max_load_secs": 3})";
    std::mt19937_64 random(20261125);
    int n_refused = 0;
    for (int i = 0; i < 5000; ++i) {
        std::string mutant = line;
        for (std::uint64_t n = random() % 4 + 1; n > 0; --n) {
            const std::size_t at = random() % mutant.size();
            switch (random() % 3) {
                case 0:
                    mutant[at] = static_cast<char>(random() % 256);
                    break;
                case 1:
                    mutant.erase(at, random() % 20 + 1);
                    break;
                default:
                    mutant.insert(at, mutant.substr(random() % mutant.size(), random() % 20));
            }
            if (mutant.empty()) mutant = " ";
        }
        try {
            const Job job = parse_job(mutant);
            CHECK(!job.subjobs.empty());
        } catch (const Error& error) {
            ++n_refused;
            const std::string record = failure_record("", "", error, {{"job_line", mutant}});
            CHECK(json::parse(record).find("error") != nullptr);
        }
    }
    CHECK(n_refused > 1000);
}

TEST_CASE("weights outside of a model are found, and no bytes make the search fail") {
    const auto field = [](int number, const std::string& content) {
        std::string bytes(1, static_cast<char>(number << 3 | 2));
        bytes.push_back(static_cast<char>(content.size()));
        return bytes + content;
    };
    const auto tensor = [&](const std::string& file) {
        return field(5, field(8, "w") + field(13, field(1, "location") + field(2, file)) +
                            field(13, field(1, "offset") + field(2, "64")));
    };
    const std::string model = std::string("\x08\x08", 2) + field(2, "edgeprof") +
                              field(7, tensor("b.bin") + tensor("a.bin") + tensor("b.bin"));
    CHECK(external_locations(model) == std::vector<std::string>{"a.bin", "b.bin"});
    std::mt19937_64 random(3);
    for (int i = 0; i < 5000; ++i) {
        std::string mutant = model.substr(0, random() % (model.size() + 1));
        for (char& byte : mutant) {
            if (random() % 8 == 0) byte = static_cast<char>(random() % 256);
        }
        external_locations(mutant);
    }
}
