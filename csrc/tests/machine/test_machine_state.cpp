// Machine state of boards, from trees written after their documentation
// (tests/data/boards/*/ORIGIN.md).
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <initializer_list>
#include <string>
#include <utility>

#include "machine/core_names.h"
#include "machine/machine_state.h"
#include "machine/machine_watch.h"
#include "machine/nvidia_gpus.h"
#include "machine/system_files.h"
#include "tests/machine/captured_boards.h"

using namespace edgeprof;

namespace {

bool contains(const std::string& text, const std::string& piece) {
    return text.find(piece) != std::string::npos;
}

// A root folder of this test's own, removed at the end.
class TemporaryRoot {
  public:
    explicit TemporaryRoot(std::initializer_list<std::pair<const char*, std::string>> files = {}) {
        REQUIRE(mkdtemp(name_) != nullptr);
        for (const auto& [path, text] : files) write(path, text);
    }
    ~TemporaryRoot() { CHECK(std::system(("rm -rf " + std::string(name_)).c_str()) == 0); }
    TemporaryRoot(const TemporaryRoot&) = delete;
    TemporaryRoot& operator=(const TemporaryRoot&) = delete;

    void write(const std::string& path, const std::string& text) const {
        const std::string full = std::string(name_) + "/" + path;
        for (auto at = full.find('/', 1); at != std::string::npos; at = full.find('/', at + 1)) {
            mkdir(full.substr(0, at).c_str(), 0700);
        }
        std::FILE* file = std::fopen(full.c_str(), "wb");
        REQUIRE(file != nullptr);
        REQUIRE(std::fwrite(text.data(), 1, text.size(), file) == text.size());
        std::fclose(file);
    }
    std::string path() const { return name_; }

  private:
    char name_[64] = "/tmp/edgeprof-test-XXXXXX";
};

}  // namespace

TEST_CASE("a CPU list is read in both forms of sysfs, and a malformed one is nothing") {
    CHECK(parse_cpu_list("0-3,7") == std::vector<int>{0, 1, 2, 3, 7});
    CHECK(parse_cpu_list("4 5\n") == std::vector<int>{4, 5});
    CHECK(parse_cpu_list("") == std::vector<int>{});
    CHECK_FALSE(parse_cpu_list("3-1"));
    CHECK_FALSE(parse_cpu_list("-1"));
    CHECK_FALSE(parse_cpu_list("0-99999999"));
    CHECK_FALSE(parse_cpu_list("(null)"));
}

TEST_CASE("MIDR_EL1 of a Raspberry Pi 4 is a Cortex-A72 r0p3") {
    const CoreId id = decode_midr(0x410fd083);
    CHECK(id == CoreId{0x41, 0, 0xd08, 3});
    CHECK(std::string(core_name(id.implementer, id.part)) == "Cortex-A72");
    CHECK(core_name(0x41, 0xfff) == nullptr);
}

TEST_CASE("an empty root gives a state without a single fact") {
    const TemporaryRoot root;
    CHECK(machine_state_json(root.path()) == "{\"state_version\":1}");
    CHECK(machine_state_json("/nowhere/at/all") == "{\"state_version\":1}");
}

TEST_CASE("malformed files are absent facts, not wrong ones") {
    const TemporaryRoot root{
        {"proc/loadavg", "1.2.3 -4 x\n"},
        {"proc/uptime", ""},
        {"proc/sys/kernel/perf_event_paranoid", "three\n"},
        {"proc/cpuinfo", "processor\t: 0\nCPU part\t: banana\n\n\n::::\n"},
        {"proc/swaps", "Filename Type Size Used Priority\n/dev/x\n"},
        {"proc/self/cgroup", "0::/a/b\n"},
        {"sys/fs/cgroup/a/cpu.max", "max 100000\n"},
        {"etc/nv_tegra_release", "\n"},
        {"var/lib/nvpmodel/status", "pmode:\n"},
        {"etc/nvpmodel.conf", "< POWER_MODEL ID= NAME= >\n< POWER_MODEL >\n"},
        {"sys/devices/system/cpu/cpufreq/policy0/related_cpus", "9-0\n"},
        {"sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "<unknown>\n"}};
    CHECK(machine_state_json(root.path()) ==
          "{\"state_version\":1,\"online_cpus\":[0],\"core_types\":[{\"cpus\":[0]}],"
          "\"clusters\":[{\"name\":\"policy0\"}]}");
}

TEST_CASE("text of any origin becomes plain JSON text") {
    const TemporaryRoot root{
        {"proc/device-tree/model", std::string("Board \"X\\1\" \x01\xff\0", 16)}};
    CHECK(contains(machine_state_json(root.path()), R"("board_model":"Board \"X\\1\" ??")"));
}

TEST_CASE("a CPU quota of a parent control group counts, the tightest of them") {
    const TemporaryRoot root{{"proc/self/cgroup", "0::/a/b\n"},
                             {"sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                             {"sys/fs/cgroup/a/cpu.max", "150000 100000\n"},
                             {"sys/fs/cgroup/cpu.max", "400000 100000\n"}};
    CHECK(contains(machine_state_json(root.path()),
                   R"("cpu_quota":{"quota_us":150000,"period_us":100000})"));
}

TEST_CASE("a CPU quota of version 1 counts, with those of the groups above") {
    const TemporaryRoot root{{"proc/self/cgroup", "7:memory:/a\n4:cpu,cpuacct:/a/b\n0::/\n"},
                             {"sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n"},
                             {"sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"},
                             {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n"},
                             {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"}};
    CHECK(contains(machine_state_json(root.path()),
                   R"("cpu_quota":{"quota_us":50000,"period_us":100000})"));
}

TEST_CASE("a CPU quota counts in a container that sees only the root of its groups") {
    const TemporaryRoot root{{"proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n"},
                             {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n"},
                             {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}};
    CHECK(contains(machine_state_json(root.path()),
                   R"("cpu_quota":{"quota_us":150000,"period_us":100000})"));
}

TEST_CASE("a Raspberry Pi 4 is described by model, core, governor, frequencies and zone") {
    const std::string state = machine_state_json(board("rpi4b"));
    CHECK(contains(state, R"("board_model":"Raspberry Pi 4 Model B Rev 1.4")"));
    CHECK(contains(state, R"("board_compatible":["raspberrypi,4-model-b","brcm,bcm2711"])"));
    CHECK(contains(state, R"({"name":"Cortex-A72","implementer":"0x41","part":"0xd08",)"
                          R"("revision":"r0p3","cpus":[0,1,2,3]})"));
    CHECK(contains(state, R"("governor":"ondemand")"));
    CHECK(contains(state, R"("cur_freq_khz":600000,"min_freq_khz":600000,)"
                          R"("max_freq_khz":1800000)"));
    CHECK(contains(state, R"("type":"cpu-thermal","temp_mdegc":48686)"));
    CHECK(contains(state, R"("throttling":{"rpi_flags":"0x0","under_voltage_alarm":false})"));
    CHECK(contains(state, R"("cpu_pmus":["armv8_cortex_a72"])"));
}

TEST_CASE("a throttled Raspberry Pi says what holds now and what has happened since boot") {
    const std::string state = machine_state_json(board("rpi4b-throttled"));
    CHECK(contains(state, R"("rpi_flags":"0xe000e",)"
                          R"("now":["frequency_capped","throttled","soft_temperature_limit"],)"
                          R"("since_boot":["frequency_capped","throttled",)"
                          R"("soft_temperature_limit"])"));
}

TEST_CASE("the two kinds of cores of a ROCK 5B are told apart, with their capacity") {
    const std::string state = machine_state_json(board("rock-5b"));
    CHECK(contains(state, R"({"name":"Cortex-A55","implementer":"0x41","part":"0xd05",)"
                          R"("revision":"r2p0","capacity":530,"cpus":[0,1,2,3]})"));
    CHECK(contains(state, R"("name":"Cortex-A76")"));
}

TEST_CASE("a Jetson has its power mode by name, its GPU clock and its rails") {
    const std::string nano = machine_state_json(board("jetson-nano"));
    CHECK(contains(nano, R"("power_mode":0,"power_mode_name":"MAXN")"));
    CHECK(contains(nano, R"({"chip":"ina3221x","label":"POM_5V_IN","power_uw":1764000})"));
    const std::string xavier = machine_state_json(board("jetson-xavier-nx"));
    CHECK(contains(xavier, R"("name":"Carmel")"));
    CHECK(contains(xavier, R"("power_mode":2,"power_mode_name":"MODE_15W_6CORE")"));
    CHECK(contains(xavier, R"("max_freq_khz":1420800,"hardware_min_freq_khz":115200,)"
                           R"("hardware_max_freq_khz":1907200)"));
    const std::string orin = machine_state_json(board("jetson-orin-nano"));
    CHECK(contains(orin, R"("name":"Cortex-A78AE")"));
    CHECK(contains(orin, R"("name":"17000000.gpu","device_tree_name":"gpu")"));
    CHECK(contains(orin, R"("chip":"ina3221","label":"VDD_IN","power_uw":7023360)"));
}

TEST_CASE("an x86 server has turbo, SMT, its throttle count and the CPU's own name") {
    const std::string state = machine_state_json(board("x86-server"));
    CHECK(contains(state, R"("boost":true)"));
    CHECK(contains(state, R"("smt":{"control":"on","active":true})"));
    CHECK(contains(state, R"("throttle_count":0)"));
    CHECK(contains(state, R"("name":"Intel(R) Xeon(R) Silver 4310 CPU @ 2.10GHz")"));
    CHECK_FALSE(contains(state, "hypervisor"));
}

TEST_CASE("power is read from voltage and current, or from a power file in its own unit") {
    const TemporaryRoot root{{"sys/class/hwmon/hwmon0/name", "ina3221\n"},
                             {"sys/class/hwmon/hwmon0/in1_label", "VDD_IN\n"},
                             {"sys/class/hwmon/hwmon0/in1_input", "5000\n"},
                             {"sys/class/hwmon/hwmon0/curr1_input", "1200\n"},
                             {"sys/class/hwmon/hwmon0/in4_input", "90\n"},
                             {"sys/class/hwmon/hwmon0/curr4_input", "1500\n"},
                             {"sys/bus/iio/devices/iio%3Adevice0/name", "ina3221x\n"},
                             {"sys/bus/iio/devices/iio%3Adevice0/rail_name_0", "POM_5V_IN\n"},
                             {"sys/bus/iio/devices/iio%3Adevice0/in_power0_input", "2137\n"}};
    const auto rails = find_energy_rails(root.path());
    REQUIRE(rails.size() == 2);
    CHECK(rails[0].label == "VDD_IN");
    CHECK(read_power_uw(rails[0]) == 6000000);
    CHECK(rails[1].label == "POM_5V_IN");
    CHECK(read_power_uw(rails[1]) == 2137000);
    root.write("sys/class/hwmon/hwmon0/curr1_input", "");
    CHECK_FALSE(read_power_uw(rails[0]));
}

TEST_CASE("the running machine has a kernel and an architecture") {
    const std::string state = machine_state_json("/");
    CHECK(contains(state, "\"kernel\":\""));
    CHECK(contains(state, "\"architecture\":\""));
}

TEST_CASE("where the driver's library is missing or is another, there is no GPU") {
    CHECK(read_nvidia_gpus("/no/such/library.so").empty());
    CHECK(read_nvidia_gpus("libm.so.6").empty());
}
