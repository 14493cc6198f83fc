#include "machine/machine_state.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "machine/cpu_facts.h"
#include "machine/facts.h"
#include "machine/machine_watch.h"
#include "machine/nvidia_gpus.h"
#include "machine/system_files.h"

namespace edgeprof {
namespace {

constexpr int kStateVersion = 1;

// The device tree's string lists: closed by NUL on a board, by newline in a captured tree.
std::vector<std::string> split_string_list(std::string text) {
    std::replace(text.begin(), text.end(), '\0', '\n');
    return split(text, "\n");
}

void add_system(const SystemFiles& files, Facts& state) {
    std::optional<std::string> kernel = files.read_text("proc/sys/kernel/osrelease");
    std::optional<std::string> architecture = files.read_text("proc/sys/kernel/arch");
    struct utsname names{};
    if (files.is_live() && ::uname(&names) == 0) {
        kernel = names.release;
        architecture = names.machine;
    }
    state.add("kernel", kernel);
    state.add("architecture", architecture);
    state.add_flag("preempt_rt", as_flag(files.read_integer("sys/kernel/realtime")));

    auto release = files.read_text("etc/os-release");
    if (!release) release = files.read_text("usr/lib/os-release");
    const auto distribution = read_pairs(release, '=');
    state.add("distribution", find(distribution, "PRETTY_NAME"));
    state.add("distribution_id", find(distribution, "ID"));
    state.add("distribution_version", find(distribution, "VERSION_ID"));

    state.add("board_model", files.read_text("proc/device-tree/model"));
    const auto compatible = files.read_text("proc/device-tree/compatible");
    state.add("board_compatible", split_string_list(compatible.value_or("")));
}

void add_thermal(const SystemFiles& files, Facts& state) {
    std::vector<Facts> zones;
    for (const std::string& zone : files.list("sys/class/thermal", "thermal_zone")) {
        const std::string folder = "sys/class/thermal/" + zone + "/";
        Facts facts;
        facts.add("name", zone);
        facts.add("type", files.read_text(folder + "type"));
        facts.add("temp_mdegc", files.read_integer(folder + "temp"));
        std::vector<Facts> trips;
        for (int n = 0; files.exists(folder + "trip_point_" + std::to_string(n) + "_temp"); ++n) {
            const std::string stem = folder + "trip_point_" + std::to_string(n);
            Facts trip;
            trip.add("type", files.read_text(stem + "_type"));
            trip.add("temp_mdegc", files.read_integer(stem + "_temp"));
            trip.add("hysteresis_mdegc", files.read_integer(stem + "_hyst"));
            trips.push_back(std::move(trip));
        }
        facts.add("trips", trips);
        zones.push_back(std::move(facts));
    }
    state.add("thermal_zones", zones);

    std::vector<Facts> devices;
    for (const std::string& device : files.list("sys/class/thermal", "cooling_device")) {
        const std::string folder = "sys/class/thermal/" + device + "/";
        const auto type = files.read_text(folder + "type");
        Facts facts;
        facts.add("name", device);
        facts.add("type", type);
        facts.add_flag("lowers_cpu_frequency", is_cpu_cooling(type.value_or("")));
        facts.add("cur_state", files.read_integer(folder + "cur_state"));
        facts.add("max_state", files.read_integer(folder + "max_state"));
        devices.push_back(std::move(facts));
    }
    state.add("cooling_devices", devices);
}

// Bits of the Raspberry Pi firmware's get_throttled; bit n + 16 is the same since boot.
std::vector<std::string> throttle_names(std::uint32_t bits) {
    static const char* const kNames[] = {"under_voltage", "frequency_capped", "throttled",
                                         "soft_temperature_limit"};
    std::vector<std::string> names;
    for (unsigned bit = 0; bit < 4; ++bit) {
        if ((bits >> bit & 1u) != 0) names.push_back(kNames[bit]);
    }
    return names;
}

void add_throttling(const SystemFiles& files, const std::string& root, Facts& state) {
    const ThrottleReading reading = MachineWatch(root, {}).read_throttle();
    Facts facts;
    if (reading.rpi_flags) {
        facts.add("rpi_flags", hexadecimal(*reading.rpi_flags));
        facts.add("now", throttle_names(*reading.rpi_flags));
        facts.add("since_boot", throttle_names(*reading.rpi_flags >> 16));
    }
    for (const std::string& device : files.list("sys/class/hwmon", "hwmon")) {
        const std::string folder = "sys/class/hwmon/" + device + "/";
        if (files.read_text(folder + "name") != std::optional<std::string>("rpi_volt")) continue;
        const auto alarm = files.read_integer(folder + "in0_lcrit_alarm");
        facts.add_flag("under_voltage_alarm", as_flag(alarm));
    }
    facts.add("cpu_cooling_state", reading.cpu_cooling_state);
    facts.add("throttle_count", reading.throttle_count);
    state.add("throttling", facts);
}

void add_scheduling(const SystemFiles& files, Facts& state) {
    Facts smt;
    smt.add("control", files.read_text(kCpuFolder + "smt/control"));
    smt.add_flag("active", as_flag(files.read_integer(kCpuFolder + "smt/active")));
    state.add("smt", smt);
    const auto cpu_list = [&](const char* name, const std::optional<std::string>& text) {
        state.add(name, parse_cpu_list(text.value_or("")).value_or(std::vector<int>{}));
    };
    cpu_list("isolated_cpus", files.read_text(kCpuFolder + "isolated"));
    cpu_list("nohz_full_cpus", files.read_text(kCpuFolder + "nohz_full"));
    cpu_list("affinity",
             find(read_pairs(files.read_text("proc/self/status"), ':'), "Cpus_allowed_list"));
    const auto integer = [&](const char* name, const char* path) {
        state.add(name, files.read_integer(path));
    };
    integer("sched_rt_runtime_us", "proc/sys/kernel/sched_rt_runtime_us");
    integer("sched_rt_period_us", "proc/sys/kernel/sched_rt_period_us");
    integer("perf_event_paranoid", "proc/sys/kernel/perf_event_paranoid");
    integer("perf_user_access", "proc/sys/kernel/perf_user_access");
    integer("nmi_watchdog", "proc/sys/kernel/nmi_watchdog");
    std::vector<std::string> pmus;
    for (const std::string& pmu : files.list("sys/bus/event_source/devices")) {
        if (pmu.compare(0, 3, "arm") == 0 || pmu.compare(0, 3, "cpu") == 0) pmus.push_back(pmu);
    }
    state.add("cpu_pmus", pmus);
    state.add("clock_source", files.read_text("sys/devices/system/clocksource/clocksource0/"
                                              "current_clocksource"));
}

// A decimal number such as a load of "0.52".
std::optional<double> decimal(const std::vector<std::string>& words, std::size_t index) {
    if (index >= words.size()) return std::nullopt;
    const std::string& word = words[index];
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (end == word.c_str() || *end != '\0' || !(value >= 0.0) || value > 1e12) return std::nullopt;
    return value;
}

std::optional<std::int64_t> meminfo_kib(const Pairs& meminfo, const char* key) {
    const auto words = split(find(meminfo, key).value_or(""));
    return words.empty() ? std::nullopt : parse_integer(words[0]);
}

void add_load(const SystemFiles& files, Facts& state) {
    const auto load = split(files.read_text("proc/loadavg").value_or(""));
    state.add_number("load_1min", decimal(load, 0));
    state.add_number("load_5min", decimal(load, 1));
    const auto uptime = split(files.read_text("proc/uptime").value_or(""));
    state.add_number("uptime_s", decimal(uptime, 0));

    const auto meminfo = read_pairs(files.read_text("proc/meminfo"), ':');
    Facts memory;
    memory.add("total_kib", meminfo_kib(meminfo, "MemTotal"));
    memory.add("available_kib", meminfo_kib(meminfo, "MemAvailable"));
    memory.add("swap_total_kib", meminfo_kib(meminfo, "SwapTotal"));
    memory.add("swap_free_kib", meminfo_kib(meminfo, "SwapFree"));
    state.add("memory", memory);
    std::vector<Facts> swaps;
    for (const std::string& line : split(files.read_text("proc/swaps").value_or(""), "\n")) {
        const auto words = split(line);
        if (words.size() < 4 || words[0] == "Filename") continue;
        Facts swap;
        swap.add("name", words[0]);
        swap.add("size_kib", parse_integer(words[2]));
        swap.add("used_kib", parse_integer(words[3]));
        swaps.push_back(std::move(swap));
    }
    state.add("swaps", swaps);
    state.add("transparent_hugepages",
              files.read_text("sys/kernel/mm/transparent_hugepage/enabled"));
}

// Words that say a virtual machine's maker, in DMI strings.
std::optional<std::string> hypervisor(const SystemFiles& files, const CpuInfo& info) {
    if (const auto type = files.read_text("sys/hypervisor/type")) return type;
    static const char* const kMakers[] = {"QEMU",      "KVM",        "VMware",         "VirtualBox",
                                          "Xen",       "Amazon EC2", "Google",         "Bochs",
                                          "Parallels", "OpenStack",  "Virtual Machine"};
    for (const char* file : {"sys_vendor", "product_name"}) {
        const std::string text =
            files.read_text(std::string("sys/class/dmi/id/") + file).value_or("");
        for (const char* maker : kMakers) {
            if (text.find(maker) != std::string::npos) return text;
        }
    }
    const auto compatible = files.read_text("proc/device-tree/compatible").value_or("");
    if (compatible.find("linux,dummy-virt") != std::string::npos) return "linux,dummy-virt";
    if (!info.by_cpu.empty()) {
        const auto flags = find(info.by_cpu.begin()->second, "flags").value_or("");
        if ((" " + flags + " ").find(" hypervisor ") != std::string::npos) return "unknown";
    }
    return std::nullopt;
}

std::optional<std::string> container(const SystemFiles& files) {
    if (const auto name = files.read_text("run/systemd/container")) return name;
    if (files.exists(".dockerenv")) return "docker";
    if (files.exists("run/.containerenv")) return "podman";
    const std::string groups = files.read_text("proc/1/cgroup").value_or("");
    for (const char* name : {"docker", "kubepods", "lxc", "containerd"}) {
        if (groups.find(name) != std::string::npos) return name;
    }
    return std::nullopt;
}

// Share of the CPUs that a control group gives, where it limits them.
struct CpuQuota {
    std::int64_t quota_us;
    std::int64_t period_us;

    double cpus() const { return static_cast<double>(quota_us) / static_cast<double>(period_us); }
};

std::optional<CpuQuota> quota_of(std::optional<std::int64_t> quota,
                                 std::optional<std::int64_t> period) {
    if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
    return CpuQuota{*quota, *period};
}

// Of the folder of one control group: cpu.max of version 2, else the two files of version 1.
std::optional<CpuQuota> read_quota(const SystemFiles& files, const std::string& folder) {
    const auto words = split(files.read_text(folder + "/cpu.max").value_or(""));
    if (words.size() == 2) return quota_of(parse_integer(words[0]), parse_integer(words[1]));
    return quota_of(files.read_integer(folder + "/cpu.cfs_quota_us"),
                    files.read_integer(folder + "/cpu.cfs_period_us"));
}

// Where the control groups of this process may be mounted, each with the path below it. Lines are
// "0::/a/b" in version 2, "4:cpu,cpuacct:/a/b" in version 1; both may be there.
std::vector<std::pair<std::string, std::string>> cpu_groups(const SystemFiles& files) {
    const std::string mount = "sys/fs/cgroup";
    // In a container the path is often that of the host, and only the root can be seen.
    std::vector<std::pair<std::string, std::string>> groups{{mount, ""}, {mount + "/cpu", ""}};
    for (const std::string& line : split(files.read_text("proc/self/cgroup").value_or(""), "\n")) {
        const auto first = line.find(':');
        const auto second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string path = line.substr(second + 1);
        if (controllers.empty()) {
            groups.emplace_back(mount, path);
            groups.emplace_back(mount + "/unified", path);
        }
        const auto names = split(controllers, ",");
        if (std::find(names.begin(), names.end(), "cpu") == names.end()) continue;
        groups.emplace_back(mount + "/cpu", path);
        groups.emplace_back(mount + "/" + controllers, path);
    }
    return groups;
}

// The tightest CPU bandwidth limit on the way from this process's control groups to the root.
void add_cpu_quota(const SystemFiles& files, Facts& state) {
    std::optional<CpuQuota> tightest;
    for (auto [mount, path] : cpu_groups(files)) {
        while (true) {
            const auto quota = read_quota(files, mount + path);
            if (quota && (!tightest || quota->cpus() < tightest->cpus())) tightest = quota;
            const auto slash = path.rfind('/');
            if (slash == std::string::npos) break;
            path.erase(slash);
        }
    }
    if (!tightest) return;
    Facts facts;
    facts.add("quota_us", std::optional<std::int64_t>(tightest->quota_us));
    facts.add("period_us", std::optional<std::int64_t>(tightest->period_us));
    state.add("cpu_quota", facts);
}

// Power modes of an NVIDIA Jetson: the active one of /var/lib/nvpmodel/status ("pmode:0002"), its
// name of /etc/nvpmodel.conf ("< POWER_MODEL ID=2 NAME=15W >").
void add_jetson(const SystemFiles& files, Facts& state) {
    Facts jetson;
    const auto release = split(files.read_text("etc/nv_tegra_release").value_or(""), "\n");
    if (!release.empty()) jetson.add("l4t_release", std::optional<std::string>(release[0]));
    std::optional<std::int64_t> mode;
    for (const std::string& word : split(files.read_text("var/lib/nvpmodel/status").value_or(""))) {
        if (word.compare(0, 6, "pmode:") == 0) mode = parse_integer(word.substr(6));
    }
    std::vector<Facts> modes;
    std::optional<std::string> mode_name;
    for (const std::string& line : split(files.read_text("etc/nvpmodel.conf").value_or(""), "\n")) {
        if (line.find("POWER_MODEL") == std::string::npos || line[0] == '#') continue;
        std::optional<std::int64_t> id;
        std::optional<std::string> name;
        for (const std::string& word : split(line, " \t<>")) {
            if (word.compare(0, 3, "ID=") == 0) id = parse_integer(word.substr(3));
            if (word.compare(0, 5, "NAME=") == 0) name = word.substr(5);
        }
        if (!id || !name) continue;
        if (id == mode) mode_name = name;
        Facts facts;
        facts.add("id", id);
        facts.add("name", name);
        modes.push_back(std::move(facts));
    }
    jetson.add("power_mode", mode);
    jetson.add("power_mode_name", mode_name);
    jetson.add("power_modes", modes);
    state.add("jetson", jetson);
}

void add_device_clocks(const SystemFiles& files, Facts& state) {
    std::vector<Facts> devices;
    for (const std::string& device : files.list("sys/class/devfreq")) {
        const std::string folder = "sys/class/devfreq/" + device + "/";
        Facts facts;
        facts.add("name", device);
        facts.add("device_tree_name", files.read_text(folder + "device/of_node/name"));
        facts.add("governor", files.read_text(folder + "governor"));
        facts.add("cur_freq_hz", files.read_integer(folder + "cur_freq"));
        facts.add("min_freq_hz", files.read_integer(folder + "min_freq"));
        facts.add("max_freq_hz", files.read_integer(folder + "max_freq"));
        devices.push_back(std::move(facts));
    }
    state.add("device_clocks", devices);
    // Only where there is a device to ask: the driver's library takes its time.
    if (files.is_live() && files.exists("dev/nvidiactl")) {
        state.add("nvidia_gpus", read_nvidia_gpus());
    }
}

void add_energy(const std::string& root, Facts& state) {
    std::vector<Facts> rails;
    for (const EnergyRail& rail : find_energy_rails(root)) {
        Facts facts;
        facts.add("chip", rail.chip);
        facts.add("label", rail.label);
        facts.add("power_uw", read_power_uw(rail));
        rails.push_back(std::move(facts));
    }
    state.add("energy_rails", rails);
}

std::string state_json(const std::string& root) {
    const SystemFiles files(root);
    const CpuInfo info(files.read_text("proc/cpuinfo").value_or(""));
    Facts state;
    state.add("state_version", std::optional<std::int64_t>(kStateVersion));
    add_system(files, state);
    add_cores(files, info, state);
    add_frequencies(files, state);
    add_thermal(files, state);
    add_throttling(files, root, state);
    add_scheduling(files, state);
    add_load(files, state);
    state.add("hypervisor", hypervisor(files, info));
    state.add("container", container(files));
    add_cpu_quota(files, state);
    add_jetson(files, state);
    add_device_clocks(files, state);
    add_energy(root, state);
    return state.text();
}

}  // namespace

std::string machine_state_json(const std::string& root) noexcept {
    try {
        return state_json(root);
    } catch (...) {  // only memory can run out: nothing above throws on what it reads
        return "{}";
    }
}

}  // namespace edgeprof
