#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/text_files.h"
#include "board/campaign.h"
#include "board/campaign_state.h"
#include "board/line_file.h"

using namespace edgeprof;
namespace fs = std::filesystem;

namespace {

// A batch folder in a temporary place.
struct Batch {
    fs::path folder;

    Batch(const std::string& settings, const std::vector<std::string>& jobs) {
        char name[] = "/tmp/edgeprof-campaign-XXXXXX";
        folder = mkdtemp(name);
        std::ofstream(folder / "campaign.json") << settings;
        std::ofstream file(folder / "jobs.jsonl");
        for (const std::string& job : jobs) file << job << "\n";
    }
    ~Batch() { fs::remove_all(folder); }

    std::string rounds() const { return (folder / "rounds.jsonl").string(); }
    std::map<std::string, json::Value> records() const {
        std::map<std::string, json::Value> all;
        for_each_line((folder / "records.jsonl").string(), [&all](const std::string& line) {
            CHECK(all.emplace(json::string_member(line, "job_id"), json::parse(line)).second);
        });
        return all;
    }
};

std::string job(const std::string& job_id, const std::string& options) {
    return R"({"job_id": ")" + job_id + R"(", "runtime": "null", "model": ")" + job_id +
           R"(", "runtime_options": )" + options + "}";
}

std::string kind_of(const json::Value& record) {
    const json::Value* error = record.find("error");
    return error == nullptr ? "" : *error->find("kind")->as_string();
}

std::size_t count(const json::Value& record, const char* name) {
    return record.find("samples")->find(name)->as_array()->size();
}

}  // namespace

TEST_CASE("campaign.json is read with its defaults, and bad ones name the field") {
    const CampaignSettings settings = parse_campaign(R"({"budget_secs": 7, "seed": 3})");
    CHECK(settings.processes == 3);
    CHECK(settings.budget_secs == 7.0);
    CHECK(settings.has_references);
    for (const char* text : {"[]", "{", R"({"processes": 0})", R"({"budget": 1})"}) {
        CAPTURE(text);
        CHECK_THROWS_WITH_AS(parse_campaign(text), doctest::Contains("campaign"), Error);
    }
}

TEST_CASE("a campaign gives every item a record") {
    const Batch batch(
        R"({"budget_secs": 0.6, "processes": 2})",
        {job("a", R"({"latency_us": 300})"), job("b", R"({"latency_us": 600, "noise_rel": 0.1})"),
         job("a", R"({"latency_us": 300})")});
    run_campaign(batch.folder);
    const std::map<std::string, json::Value> records = batch.records();
    REQUIRE(records.size() == 4);
    for (const char* id : {"a", "b", "reference:arithmetic", "reference:memory"}) {
        CAPTURE(id);
        const json::Value& record = records.at(id);
        REQUIRE(kind_of(record).empty());
        CHECK(count(record, "latency_ns") >= (std::string(id).size() == 1 ? 10 : 1));
        for (const char* name : {"begin_ns", "disturbed", "waited_ns", "process", "round"}) {
            CHECK(count(record, name) == count(record, "latency_ns"));
        }
        CHECK(record.find("summary")->find("latency_median_ns") != nullptr);
        CHECK(record.find("clock")->find("kind") != nullptr);
        CHECK(record.find("settings")->find("cpus") != nullptr);
        CHECK(record.find("machine")->as_object() != nullptr);
        CHECK(*record.find("campaign")->find("processes")->as_int() >= 1);
    }
    CHECK(*records.at("a").find("campaign")->find("group")->as_int() == 0);
}

TEST_CASE("an item of a campaign that fails costs only itself") {
    // Without references: they compute, which takes longer than this bound on a busy machine.
    const Batch batch(
        R"({"budget_secs": 0.6, "max_load_secs": 2, "processes": 2, "references": false})",
        {job("a", R"({"latency_us": 300})"), job("refused", R"({"abacus": 1})"),
         job("crash", R"({"act": "abort", "at": 60})"),
         job("hang", R"({"act": "hang", "at": 60, "latency_us": 100})"),
         job("fail", R"({"act": "fail", "at": 100})"), R"({"job_id": "bad", "threads": -1})"});
    run_campaign(batch.folder);
    const std::map<std::string, json::Value> records = batch.records();
    REQUIRE(records.size() == 6);
    CHECK(kind_of(records.at("a")).empty());
    CHECK(kind_of(records.at("refused")) == "InvalidJob");
    CHECK(kind_of(records.at("crash")) == "HarnessCrashed");
    CHECK(kind_of(records.at("hang")) == "HarnessTimeout");
    CHECK(kind_of(records.at("fail")) == "UnsupportedModel");
    CHECK(kind_of(records.at("bad")) == "InvalidJob");
}

TEST_CASE("what does not fit into memory runs in groups that the references link") {
    const Batch batch(R"({"budget_secs": 0.3, "memory_share": 0.001, "processes": 1})",
                      {job("a", R"({"latency_us": 200, "resident_mib": 64})"),
                       job("b", R"({"latency_us": 200, "resident_mib": 64})")});
    run_campaign(batch.folder);
    const std::map<std::string, json::Value> records = batch.records();
    CHECK(*records.at("a").find("campaign")->find("group")->as_int() == 0);
    CHECK(*records.at("b").find("campaign")->find("group")->as_int() == 1);
    CHECK(*records.at("reference:memory").find("campaign")->find("processes")->as_int() == 2);
}

TEST_CASE("groups share items of the first, whose records have the samples of all groups") {
    double available_mib = 0.0;
    std::ifstream meminfo("/proc/meminfo");
    for (std::string line; std::getline(meminfo, line);) {
        if (line.rfind("MemAvailable:", 0) == 0) available_mib = std::stod(line.substr(13)) / 1024;
    }
    constexpr double kShare = 0.004;
    // So that about twelve fit, or four under a sanitizer that keeps notes of all memory.
    const auto mib = std::max(1, static_cast<int>(0.08 * kShare * available_mib));
    const std::string options =
        R"({"latency_us": 200, "resident_mib": )" + std::to_string(mib) + "}";
    std::vector<std::string> jobs;
    for (char id = 'a'; id <= 'p'; ++id) jobs.push_back(job(std::string(1, id), options));
    const Batch batch(R"({"budget_secs": 0.8, "processes": 1, "references": false,)"
                      R"( "memory_share": )" +
                          std::to_string(kShare) + "}",
                      jobs);
    run_campaign(batch.folder);
    const CampaignState state = read_state(batch.rounds());
    REQUIRE(state.groups.size() >= 2);
    for (const CampaignState::Group& group : state.groups) {
        CHECK(std::count(group.items.begin(), group.items.end(), "a") == 1);
    }
    const std::map<std::string, json::Value> records = batch.records();
    REQUIRE(records.size() == jobs.size());
    const auto n_processes = [&records](const std::string& id) {
        return *records.at(id).find("campaign")->find("processes")->as_int();
    };
    CHECK(n_processes("a") == static_cast<std::int64_t>(state.groups.size()));
    CHECK(n_processes("p") == 1);
    CHECK(count(records.at("a"), "latency_ns") > count(records.at("p"), "latency_ns"));
}

TEST_CASE("a campaign that was cut off goes on from its last whole round") {
    const Batch batch(R"({"budget_secs": 0.2, "processes": 2, "references": false})",
                      {job("a", R"({"latency_us": 500, "noise_rel": 0.3})"),
                       job("b", R"({"latency_us": 500, "noise_rel": 0.3})")});
    run_campaign(batch.folder);
    const CampaignState whole = read_state(batch.rounds());
    REQUIRE(whole.groups.size() == 1);
    CHECK(whole.groups[0].slots.size() >= 2);
    CHECK(whole.n_processes >= 2);

    // Cut in the middle of a line, before the first slot has ended.
    std::string kept;
    std::size_t n_rounds = 0;
    for_each_line(batch.rounds(), [&](const std::string& line) {
        if (n_rounds < 2) kept += line + "\n";
        if (json::string_member(line, "event") == "round") ++n_rounds;
    });
    std::ofstream(batch.rounds(), std::ios::trunc) << kept << R"({"event": "round", "gro)";
    fs::remove(batch.folder / "records.jsonl");
    run_campaign(batch.folder);
    const std::string text = read_text(batch.rounds());
    CHECK(text.compare(0, kept.size(), kept) == 0);
    CHECK(text.find(R"("gro{)") == std::string::npos);
    const std::map<std::string, json::Value> records = batch.records();
    CHECK(count(records.at("a"), "latency_ns") >= 10);
    const json::Array& begins = *records.at("a").find("samples")->find("begin_ns")->as_array();
    for (std::size_t i = 1; i < begins.size(); ++i) {
        CHECK(*begins[i].as_int() > *begins[i - 1].as_int());
    }

    // All is done: nothing is measured again.
    run_campaign(batch.folder);
    CHECK(read_text(batch.rounds()) == text);
}

TEST_CASE("lines that a power cut tore are cut off, and whole ones stay") {
    const Batch batch("{}", {});
    const std::string path = (batch.folder / "lines").string();
    std::ofstream(path) << "one\ntwo\nthr";
    {
        LineFile file(path);
        file.append("four");
    }
    CHECK(read_text(path) == "one\ntwo\nfour\n");
}
