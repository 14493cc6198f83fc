#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/text_files.h"
#include "board/job.h"
#include "board/progress_file.h"
#include "board/run_job.h"

using namespace edgeprof;

namespace {

struct File {
    std::string path;
    File() {
        char name[] = "/tmp/edgeprof-progress-XXXXXX";
        close(mkstemp(name));
        path = name;
    }
    ~File() { unlink(path.c_str()); }
    json::Value read() const { return json::parse(read_text(path)); }
};

RunStatus status_of(std::size_t n_samples, WaitsFor wanted) {
    return {n_samples, MedianEstimate{4e6, {3.9e6, 4.1e6}, kConfidence, 1.0, n_samples}, 4e6,
            wanted};
}

}  // namespace

TEST_CASE("a progress file says which model is loaded, and then how far each is") {
    const File file;
    ProgressFile progress(file.path);
    progress.tell_phase(Phase::kOpening);
    progress.tell_phase(Phase::kLoading);
    progress.tell_phase(Phase::kOpening);
    CHECK(*file.read().find("phase")->as_string() == "opening");
    CHECK(*file.read().find("model")->as_int() == 1);
    progress.tell_phase(Phase::kMeasuring);
    progress.tell_warm();
    CHECK(*file.read().find("phase")->as_string() == "warming");
    CHECK(*file.read().find("model")->as_int() == 1);
    progress.tell_round([] {
        return std::vector<RunStatus>{status_of(40, WaitsFor::kInterval),
                                      {7, {}, 5e6, WaitsFor::kSamples}};
    });
    const json::Value told = file.read();
    CHECK(*told.find("phase")->as_string() == "measuring");
    const json::Array& models = *told.find("models")->as_array();
    REQUIRE(models.size() == 2);
    CHECK(*models[0].find("n_samples")->as_int() == 40);
    CHECK(*models[0].find("waits_for")->as_string() == "interval");
    CHECK(models[0].find("ci_low_ns") != nullptr);
    CHECK(models[1].find("ci_low_ns") == nullptr);  // not looked at yet
    CHECK(models[1].find("latency_ns") != nullptr);
}

TEST_CASE("what is shorter than what was there leaves nothing of it") {
    const File file;
    ProgressFile progress(file.path);
    progress.tell_round([] {
        return std::vector<RunStatus>{status_of(1, WaitsFor::kCalm),
                                      status_of(2, WaitsFor::kNothing)};
    });
    progress.tell_phase(Phase::kReporting);
    CHECK(*file.read().find("phase")->as_string() == "reporting");
}

TEST_CASE("rounds that follow at once are not even looked at") {
    const File file;
    ProgressFile progress(file.path);
    int n_looks = 0;
    for (int round = 0; round < 1000; ++round) {
        progress.tell_round([&n_looks] {
            ++n_looks;
            return std::vector<RunStatus>{};
        });
    }
    CHECK(n_looks < 1000);
    CHECK(n_looks > 0);
}

TEST_CASE("a progress file that cannot be written harms no measurement") {
    const char* line =
        R"({"runtime": "null", "max_samples": 100, "min_secs": 0, "progress_file": "/no/where"})";
    const json::Value record = json::parse(run_job(parse_job(line), {}));
    CHECK(record.find("error") == nullptr);
}

TEST_CASE("a job tells how far it is, in a file of its own") {
    const File file;
    const std::string line = R"({"runtime": "null", "max_samples": 100, "min_secs": 0,)"
                             R"( "progress_file": ")" +
                             file.path + "\"}";
    const json::Value record = json::parse(run_job(parse_job(line), {}));
    CHECK(record.find("error") == nullptr);
    CHECK(*file.read().find("phase")->as_string() == "reporting");
}
