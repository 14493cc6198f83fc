#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "timing/core_pmu.h"
#include "timing/counter_math.h"
#include "timing/counters.h"
#include "timing/disturbance.h"
#include "timing/refused_reads.h"
#include "timing/registers.h"

using namespace edgeprof;
namespace fs = std::filesystem;

namespace {

CounterReading read_at(std::uint64_t count, std::uint64_t enabled_ns, std::uint64_t missed_ns) {
    return {true, count, missed_ns, enabled_ns};
}

}  // namespace

TEST_CASE("a counter that ran all the time counts as it is; the empty interval is taken off") {
    CHECK(count_between(read_at(500, 10, 0), read_at(1600, 110, 0), 100, 0.0) == 1000);
    CHECK(count_between(read_at(500, 10, 0), read_at(550, 110, 0), 100, 0.0) == 0);
    // What was missed before the interval says nothing about it.
    CHECK(count_between(read_at(500, 900, 700), read_at(1500, 1000, 700), 0, 0.0) == 1000);
}

TEST_CASE("a counter that ran half of the interval counts double") {
    CHECK(count_between(read_at(500, 100, 20), read_at(1600, 300, 120), 100, 0.0) == 2000);
}

TEST_CASE("a counter that did not run in the interval has no count, not 0") {
    CHECK(count_between(read_at(500, 100, 20), read_at(500, 300, 220), 0, 0.0) == kNoCount);
    CHECK(count_between(read_at(500, 100, 20), read_at(500, 100, 20), 0, 0.0) == kNoCount);
}

TEST_CASE("a counter that could not be read has no count") {
    CHECK(count_between({}, read_at(500, 300, 0), 0, 100.0) == kNoCount);
    CHECK(count_between(read_at(500, 300, 0), {}, 0, 100.0) == kNoCount);
}

TEST_CASE("reads in user space tell what was missed; the clock tells of how much") {
    CHECK(count_between(read_at(0, 0, 5), read_at(700, 0, 5), 0, 100.0) == 700);
    CHECK(count_between(read_at(0, 0, 5), read_at(700, 0, 35), 0, 100.0) == 1000);
    // One end by the page, the other by read().
    CHECK(count_between(read_at(0, 0, 5), read_at(700, 400, 35), 0, 100.0) == 1000);
    CHECK(count_between(read_at(0, 0, 5), read_at(700, 400, 205), 0, 100.0) == kNoCount);
}

TEST_CASE("counters count a known loop while they are on, or say why they are not there") {
    CounterGroup counters(false, {}, "/");
    CHECK(counters.size() + counters.absent().size() >= 1);
    for (const AbsentCounter& counter : counters.absent()) CHECK(!counter.reason.empty());
    const std::vector<CounterFacts> facts = counters.facts();
    const auto count_loop = [&counters] {
        CounterReadings before, after;
        CounterValues counts;
        counters.read(before);
        registers::counted_loop(100'000);
        counters.read(after);
        counters.count(before, after, 1e9, counts);
        return counts;
    };
    counters.switch_on();
    const CounterValues on = count_loop();
    counters.switch_off();
    const CounterValues off = count_loop();
    for (std::size_t c = 0; c < facts.size(); ++c) {
        CHECK(off[c] == kNoCount);
        if (facts[c].name != "instructions") continue;
        CHECK(on[c] >= 200'000);
        CHECK(on[c] < 201'000);
    }
}

TEST_CASE("waiting that the kernel does not tell of is not taken for none") {
    std::string folder = (fs::temp_directory_path() / "edgeprof-task-XXXXXX").string();
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    for (const char* thread : {"1", "2", "3"}) fs::create_directories(fs::path(folder) / thread);
    CHECK(sum_waited_ns(folder.c_str(), -1) == -1);
    Evidence before{}, after{};
    before.waited_ns = after.waited_ns = sum_waited_ns(folder.c_str(), -1);
    after.involuntary_switches = 1;
    CHECK(disturbance_between(before, after, 1'000'000) == kPreempted);

    std::ofstream(fs::path(folder) / "1" / "schedstat") << "1000 0 5\n";
    CHECK(sum_waited_ns(folder.c_str(), -1) == 0);
    std::ofstream(fs::path(folder) / "2" / "schedstat") << "1000 70 5\n";
    std::ofstream(fs::path(folder) / "3" / "schedstat") << "1000 30 5\n";
    CHECK(sum_waited_ns(folder.c_str(), -1) == 100);
    CHECK(sum_waited_ns(folder.c_str(), 3) == 70);  // a thread of ours
    fs::remove_all(folder);
}

TEST_CASE("a counter register that is not there is a failure, not 0") {
    std::uint64_t count = 0;
#if defined(__aarch64__)
    CHECK_FALSE(registers::read_performance_counter(12, count));
    CHECK_FALSE(registers::read_performance_counter(30, count));
#endif
    CHECK(count == 0);
}

TEST_CASE("a refused read is told from other instructions by its code") {
    CHECK(is_counter_read(0xd53b9d03));        // mrs x3, pmccntr_el0
    CHECK(is_counter_read(0xd53be8e0));        // mrs x0, pmevcntr7_el0
    CHECK(is_counter_read(0xd53be97f));        // mrs xzr, pmevcntr11_el0
    CHECK_FALSE(is_counter_read(0xd53b9e00));  // mrs x0, pmuserenr_el0
    CHECK_FALSE(is_counter_read(0xd53bec00));  // mrs x0, pmevtyper0_el0
    CHECK_FALSE(is_counter_read(0xd51b9d03));  // msr pmccntr_el0, x3
    CHECK_FALSE(is_counter_read(0));
}

namespace {

// A machine with two kinds of cores, as RK3588 boards with a mainline kernel show them.
fs::path big_little_tree() {
    std::string folder = (fs::temp_directory_path() / "edgeprof-pmu-XXXXXX").string();
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    const fs::path devices = fs::path(folder) / "sys/bus/event_source/devices";
    const auto add = [&devices](const char* name, const char* type, const char* cpus) {
        fs::create_directories(devices / name);
        std::ofstream(devices / name / "type") << type << "\n";
        if (*cpus != 0) std::ofstream(devices / name / "cpus") << cpus << "\n";
    };
    add("armv8_cortex_a55", "8", "0-3");
    add("armv8_cortex_a76", "9", "4-7");
    add("arm_dsu_0", "10", "");
    add("software", "1", "");
    return folder;
}

}  // namespace

TEST_CASE("cores of several kinds have counters of their own") {
    const fs::path tree = big_little_tree();
    const std::vector<CorePmu> pmus = find_core_pmus(tree.string());
    REQUIRE(pmus.size() == 2);
    const PmuChoice big = choose_pmu(pmus, {5, 6});
    REQUIRE(big.pmu != nullptr);
    CHECK(big.pmu->name == "armv8_cortex_a76");
    CHECK(big.pmu->type == 9);
    CHECK(choose_pmu(pmus, {0}).pmu->type == 8);
    for (const std::vector<int>& cpus : {std::vector<int>{}, {3, 4}}) {
        const PmuChoice none = choose_pmu(pmus, cpus);
        CHECK(none.pmu == nullptr);
        CHECK(none.absence.find("armv8_cortex_a55, armv8_cortex_a76") != std::string::npos);
    }
    CounterGroup counters(false, {}, tree.string());
    CHECK(counters.size() == 0);
    REQUIRE(counters.absent().size() == kMaxCounters);
    CHECK(counters.absent()[0].reason.find("--cpus") != std::string::npos);
    fs::remove_all(tree);
}

TEST_CASE("one kind of core, or none known, is left to the kernel") {
    const PmuChoice none = choose_pmu({}, {});
    CHECK(none.pmu == nullptr);
    CHECK(none.absence.empty());
    const std::vector<CorePmu> pmus =
        find_core_pmus(std::string(EDGEPROF_TEST_BOARDS) + "/rock-5b");
    const PmuChoice one = choose_pmu(pmus, {1});  // the vendor's kernel shows one for all
    CHECK(one.pmu == nullptr);
    CHECK(one.absence.empty());
}
