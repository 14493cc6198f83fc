#include <doctest/doctest.h>

#include <vector>

#include "machine/machine_watch.h"
#include "tests/machine/captured_boards.h"

using namespace edgeprof;

TEST_CASE("between samples a watch reads frequency, temperature and throttling of its CPUs") {
    const MachineWatch watch(board("rpi4b-throttled"), {2});
    REQUIRE(watch.domain_count() == 1);
    CHECK(watch.cpus_of_domain(0) == std::vector<int>{0, 1, 2, 3});
    CHECK(watch.read_freq_khz(0) == 1000000);
    CHECK(watch.read_temp_mdegc() == 84723);
    CHECK(watch.read_throttle().rpi_flags == 0xe000eu);
    CHECK(watch.read_throttle().active());
    CHECK_FALSE(MachineWatch(board("rpi4b"), {}).read_throttle().active());
}

TEST_CASE("the temperature of a Jetson Nano is the chip's, not the PMIC's fixed 100 degrees") {
    CHECK(MachineWatch(board("jetson-nano"), {}).read_temp_mdegc() == 33500);
}

TEST_CASE("the firmware's flags are found on a Raspberry Pi 5 as on its elders") {
    CHECK(MachineWatch(board("rpi5"), {}).read_throttle().rpi_flags == 0u);
    CHECK(MachineWatch(board("rpi-zero-2w"), {}).read_throttle().rpi_flags == 0u);
    CHECK_FALSE(MachineWatch(board("rock-5b"), {}).read_throttle().rpi_flags);
}

TEST_CASE("a watch of two big cores of a ROCK 5B watches their cluster only") {
    const MachineWatch watch(board("rock-5b"), {4, 5});
    REQUIRE(watch.domain_count() == 1);
    CHECK(watch.read_freq_khz(0) == 408000);
}

TEST_CASE("a watch of CPUs that no policy drives has no frequency") {
    CHECK(MachineWatch(board("rpi4b"), {9}).domain_count() == 0);
}

TEST_CASE("cooling devices that slow the CPUs are told from fans and the GPU's own") {
    CHECK(is_cpu_cooling("thermal-cpufreq-0"));
    CHECK(is_cpu_cooling("cpu-balanced"));
    CHECK(is_cpu_cooling("Processor"));
    CHECK_FALSE(is_cpu_cooling("pwm-fan"));
    CHECK_FALSE(is_cpu_cooling("thermal-devfreq-0"));
    CHECK(MachineWatch(board("jetson-orin-nano"), {}).read_throttle().active());
}

TEST_CASE("a new throttle bit or a grown count is a disturbance, an old bit is not") {
    ThrottleReading before;
    ThrottleReading after;
    CHECK_FALSE(after.disturbed_since(before));
    before.rpi_flags = 0x50000;
    after.rpi_flags = 0x50000;
    CHECK_FALSE(after.disturbed_since(before));
    after.rpi_flags = 0xd0000;
    CHECK(after.disturbed_since(before));
    after.rpi_flags = 0x50001;
    CHECK(after.disturbed_since(before));
    before = after = ThrottleReading{};
    before.throttle_count = 3;
    after.throttle_count = 4;
    CHECK(after.disturbed_since(before));
}
