#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "base/error.h"
#include "board/batch.h"
#include "board/worker.h"

namespace fs = std::filesystem;
using edgeprof::work_off;

namespace {

struct Folder {
    std::string path;
    Folder() {
        char name[] = "/tmp/edgeprof-worker-XXXXXX";
        path = mkdtemp(name);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { fs::remove_all(path); }

    void write(const std::string& name, const std::string& text) const {
        fs::create_directories(fs::path(path + "/" + name).parent_path());
        std::ofstream(path + "/" + name, std::ios::binary) << text;
    }
    std::string read(const std::string& name) const {
        std::ostringstream content;
        content << std::ifstream(path + "/" + name, std::ios::binary).rdbuf();
        return content.str();
    }
};

const char* const kTwoJobs = "{\"job_id\":\"a\"}\n{\"job_id\":\"b\"}\n";

std::string echo_id(const std::string& job) { return job.substr(0, job.size() - 1) + ",\"n\":1}"; }

}  // namespace

TEST_CASE("every job gets one record, in order") {
    const Folder batch;
    batch.write("jobs.jsonl", kTwoJobs);
    work_off(batch.path, echo_id);
    CHECK(batch.read("records.jsonl") ==
          "{\"job_id\":\"a\",\"n\":1}\n{\"job_id\":\"b\",\"n\":1}\n");
}

TEST_CASE("a job with a record is not run again") {
    const Folder batch;
    batch.write("jobs.jsonl", kTwoJobs);
    batch.write("records.jsonl", "{\"job_id\":\"a\",\"n\":7}\n");
    int runs = 0;
    const auto counting = [&](const std::string& job) {
        ++runs;
        return echo_id(job);
    };
    work_off(batch.path, counting);
    work_off(batch.path, counting);
    CHECK(runs == 1);
    CHECK(batch.read("records.jsonl") ==
          "{\"job_id\":\"a\",\"n\":7}\n{\"job_id\":\"b\",\"n\":1}\n");
}

TEST_CASE("a record without an id is filed under its job's") {
    const Folder batch;
    batch.write("jobs.jsonl", "{\"job_id\":\"a\",\"threads\":-1}\n");
    work_off(batch.path, [](const std::string&) {
        return std::string(
            "{\"record_version\":1,\"job_id\":\"\",\"error\":{\"kind\":\"InvalidJob\"}}");
    });
    CHECK(batch.read("records.jsonl") ==
          "{\"job_id\":\"a\",\"record_version\":1,\"error\":{\"kind\":\"InvalidJob\"}}\n");
}

TEST_CASE("a torn record is cut off and its job run again") {
    const Folder batch;
    batch.write("jobs.jsonl", kTwoJobs);
    batch.write("records.jsonl", "{\"job_id\":\"a\",\"n\":7}\n{\"job_id\":\"b\",\"samp");
    work_off(batch.path, echo_id);
    CHECK(batch.read("records.jsonl") ==
          "{\"job_id\":\"a\",\"n\":7}\n{\"job_id\":\"b\",\"n\":1}\n");
}

TEST_CASE("a full disk is an error, and no half record stays") {
    const Folder batch;
    batch.write("jobs.jsonl", kTwoJobs);
    // A limit on the size of files stands for the full disk: both end a write half-way.
    struct rlimit before = {};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto ignored = signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = before;
    small.rlim_cur = 30;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK_THROWS_AS(work_off(batch.path, echo_id), edgeprof::Error);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, ignored);
    CHECK(batch.read("records.jsonl") == "{\"job_id\":\"a\",\"n\":1}\n");
}

TEST_CASE("the jobs see the batch's environment") {
    const Folder batch;
    batch.write("jobs.jsonl", "{\"job_id\":\"a\"}\n");
    batch.write("environment.json", "{\"EDGEPROF_TEST_WORKER\":\"two\\nlines $(x)\"}");
    std::string seen;
    work_off(batch.path, [&](const std::string& job) {
        seen = std::getenv("EDGEPROF_TEST_WORKER");
        return job;
    });
    CHECK(seen == "two\nlines $(x)");
}

TEST_CASE("only batches of the own session are worked off, in the order of their names") {
    const Folder home;
    home.write("queue/s1.0002/jobs.jsonl", "{\"job_id\":\"later\"}\n");
    home.write("queue/s1.0001/jobs.jsonl", "{\"job_id\":\"sooner\"}\n");
    home.write("queue/s2.0001/jobs.jsonl", "{\"job_id\":\"foreign\"}\n");
    std::string order;
    const int status = edgeprof::worker_main(
        {"--folder", home.path, "--lock", home.path + "/lock", "--owner", "me", "--session", "s1."},
        [&](const std::string& job) {
            order += job;
            return job;
        });
    CHECK(status == edgeprof::kWorkerDone);
    CHECK(order == "{\"job_id\":\"sooner\"}{\"job_id\":\"later\"}");
}

TEST_CASE("a machine that another owner measures on is left alone") {
    const Folder home;
    home.write("queue/s1.0001/jobs.jsonl", kTwoJobs);
    home.write("lock", "{\"owner\":\"other\",\"session\":\"s9.\"}\n");
    const int held = open((home.path + "/lock").c_str(), O_RDWR);
    REQUIRE(flock(held, LOCK_EX) == 0);
    const int status = edgeprof::worker_main(
        {"--folder", home.path, "--lock", home.path + "/lock", "--owner", "me", "--session", "s1."},
        [](const std::string&) -> std::string { throw std::logic_error("must not run"); });
    close(held);
    CHECK(status == edgeprof::kWorkerBusy);
    CHECK(home.read("lock") == "{\"owner\":\"other\",\"session\":\"s9.\"}\n");
}

TEST_CASE("wait returns at once where no worker runs") {
    const Folder home;
    CHECK(edgeprof::wait_main({"--folder", home.path}) == edgeprof::kWorkerDone);
    CHECK(edgeprof::wait_main({"--folder", home.path, "--stop"}) == edgeprof::kWorkerDone);
}

TEST_CASE("wrong usage is said, not guessed") {
    CHECK(edgeprof::worker_main({"--folder"}, echo_id) == edgeprof::kWorkerUsage);
    CHECK(edgeprof::worker_main({"--nonsense", "x"}, echo_id) == edgeprof::kWorkerUsage);
    CHECK(edgeprof::wait_main({}) == edgeprof::kWorkerUsage);
}
