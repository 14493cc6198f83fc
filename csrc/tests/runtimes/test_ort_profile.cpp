#include <doctest/doctest.h>

#include "base/json.h"
#include "board/run_job.h"
#include "runtimes/ort/ort_profile.h"

using namespace edgeprof;

namespace {

std::string event(const char* name, const char* type, int us) {
    return std::string(R"({"cat": "Node", "name": ")") + name + R"(_kernel_time", "dur": )" +
           std::to_string(us) + R"(, "args": {"op_name": ")" + type + R"("}},)";
}

}  // namespace

TEST_CASE("a profile leaves out the cold runs") {
    const std::string text =
        R"([{"cat": "Session", "name": "model_run", "dur": 999, "args": {}},)" +
        event("conv1", "Conv", 9000) + event("fc", "Gemm", 500) + event("conv1", "Conv", 10) +
        event("fc", "Gemm", 4) + event("conv1", "Conv", 20) + event("fc", "Gemm", 6) + "{}]";
    const std::vector<OperatorTime> operators = parse_ort_profile(text, 1, 2);
    REQUIRE(operators.size() == 2);
    CHECK(operators[0].name == "conv1");
    CHECK(operators[0].type == "Conv");
    CHECK(operators[0].mean_ns == 15'000);
    CHECK(operators[1].mean_ns == 5'000);
}

TEST_CASE("an operator within a loop counts with all its executions") {
    const std::string text = "[" + event("body", "Add", 100) + event("body", "Add", 100) +
                             event("body", "Add", 1) + event("body", "Add", 2) + "{}]";
    const std::vector<OperatorTime> operators = parse_ort_profile(text, 1, 1);
    REQUIRE(operators.size() == 1);
    CHECK(operators[0].mean_ns == 3'000);
}

TEST_CASE("what is no profile gives no operators, or an error") {
    CHECK(parse_ort_profile("{}", 1, 1).empty());
    CHECK_THROWS_AS(parse_ort_profile("[{", 1, 1), json::ParseError);
}

TEST_CASE("a profile that the runtime does not offer is refused before anything is timed") {
    std::vector<Phase> phases;
    const std::string record =
        run_job(parse_job(R"({"runtime": "null", "max_secs": 0.1, "per_op_runs": 3})"),
                {[&phases](Phase phase, const RuntimeFacts&) { phases.push_back(phase); }, {}});
    CHECK(record.find("leave --per-op out") != std::string::npos);
    REQUIRE(!phases.empty());
    CHECK(phases.back() == Phase::kOpening);
}
