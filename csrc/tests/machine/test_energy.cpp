#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/json.h"
#include "board/run_job.h"
#include "machine/affinity.h"
#include "machine/energy_sampler.h"
#include "tests/machine/captured_boards.h"

using namespace edgeprof;
namespace fs = std::filesystem;

namespace {

// A board whose ina3221 says 5 V and 2 A on one rail and nothing on another.
class Board {
  public:
    Board() {
        std::string folder = (fs::temp_directory_path() / "edgeprof-energy-XXXXXX").string();
        REQUIRE(mkdtemp(folder.data()) != nullptr);
        root_ = folder;
        write("name", "ina3221");
        write("in1_label", "VDD_IN");
        write("in1_input", "5000");
        write("curr1_input", "2000");
        write("in2_label", "VDD_SOC");
        write("in2_input", "asleep");
        write("curr2_input", "asleep");
    }
    ~Board() { fs::remove_all(root_); }
    Board(const Board&) = delete;
    Board& operator=(const Board&) = delete;
    std::string root() const { return root_.string(); }

  private:
    void write(const char* name, const char* text) const {
        const fs::path folder = root_ / "sys/class/hwmon/hwmon0";
        fs::create_directories(folder);
        std::ofstream(folder / name) << text << "\n";
    }
    fs::path root_;
};

// The energy in the record of a job on that board.
json::Array energy_of(const Board& board) {
    Job job = parse_job(R"({"runtime": "null", "max_secs": 20, "ci_rel": 0.5, "min_secs": 0.2})");
    job.root = board.root();
    const json::Value record = json::parse(run_job(job, {}));
    REQUIRE(record.find("energy") != nullptr);
    return *record.find("energy")->as_array();
}

}  // namespace

TEST_CASE("power is read between blocks where every core may run the model") {
    const Board board;
    const json::Array energy = energy_of(board);
    REQUIRE(energy.size() == 1);  // the other rail does not answer: absent, not 0
    CHECK(*energy[0].find("chip")->as_string() == "ina3221");
    CHECK(*energy[0].find("rail")->as_string() == "VDD_IN");
    CHECK(*energy[0].find("from")->as_string() == "between_blocks");
    CHECK(*energy[0].find("power_mean_uw")->as_int() == 10'000'000);
    CHECK(*energy[0].find("n_readings")->as_int() > 0);
    CHECK(energy[0].find("readings_per_s") != nullptr);
    EnergySampler sampler(board.root(), allowed_cpus());
    CHECK_FALSE(sampler.has_thread());
}

TEST_CASE("power is read on another core where one is left") {
    const std::vector<int> cpus = allowed_cpus();
    if (cpus.size() < 2) return;
    const Board board;
    EnergySampler sampler(board.root(), {cpus.front()});
    REQUIRE(sampler.has_thread());
    CHECK(sampler.thread_id() > 0);
    // As many blocks as a busy machine needs to let the thread run in one.
    BlockPower power;
    for (int block = 0; block < 1000; ++block) {
        sampler.start_block();
        std::this_thread::sleep_for(std::chrono::milliseconds(5 * (1 + block)));
        power = sampler.end_block();
        REQUIRE(power.size() == 2);
        if (power[0]) break;
    }
    REQUIRE(power[0].has_value());
    CHECK(power[0]->mean_uw == 10'000'000);
    CHECK_FALSE(power[1].has_value());
}

TEST_CASE("each block has its own readings, and one that none was taken in has none") {
    const Board board;
    EnergySampler sampler(board.root(), {});
    CHECK(sampler.rails().size() == 2);
    CHECK_FALSE(sampler.has_thread());
    CHECK(sampler.thread_id() == -1);
    for (int i = 0; i < 2; ++i) {
        sampler.start_block();
        const BlockPower power = sampler.end_block();
        REQUIRE(power.size() == 2);
        REQUIRE(power[0].has_value());
        CHECK(power[0]->mean_uw == 10'000'000);
        CHECK(power[0]->n_readings == 1);
        CHECK_FALSE(power[1].has_value());
    }
}

TEST_CASE("boards that measure their power are known by their trees") {
    for (const char* name : {"jetson-nano", "jetson-orin-nano", "jetson-xavier-nx"}) {
        CAPTURE(name);
        EnergySampler sampler(board(name), {});
        CHECK_FALSE(sampler.rails().empty());
        sampler.start_block();
        const BlockPower power = sampler.end_block();
        REQUIRE(!power.empty());
        CHECK(power[0].has_value());
    }
}

TEST_CASE("a machine without sensors has no energy in its record, and no thread") {
    EnergySampler sampler(board("rpi4b"), {0});
    CHECK(sampler.rails().empty());
    CHECK_FALSE(sampler.has_thread());
    CHECK(sampler.end_block().empty());
}
