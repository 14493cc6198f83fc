#include "machine/machine_watch.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "machine/system_files.h"

namespace edgeprof {
namespace {

bool contains(const std::vector<int>& cpus, int cpu) {
    return std::find(cpus.begin(), cpus.end(), cpu) != cpus.end();
}

bool drives_any(const std::vector<int>& domain, const std::vector<int>& cpus) {
    return cpus.empty() ||
           std::any_of(domain.begin(), domain.end(), [&](int cpu) { return contains(cpus, cpu); });
}

// hwmon/<hwmonN>: powerN_input, or inN_input with currN_input (ina3221).
void add_hwmon_rails(const SystemFiles& files, std::vector<EnergyRail>& rails) {
    for (const std::string& device : files.list("sys/class/hwmon", "hwmon")) {
        const std::string folder = "sys/class/hwmon/" + device + "/";
        const std::string chip = files.read_text(folder + "name").value_or(device);
        for (int channel = 1; channel <= 8; ++channel) {
            const std::string n = std::to_string(channel);
            EnergyRail rail;
            rail.chip = chip;
            if (files.exists(folder + "power" + n + "_input")) {
                rail.label = files.read_text(folder + "power" + n + "_label").value_or("power" + n);
                rail.power_path = files.full_path(folder + "power" + n + "_input");
                rails.push_back(rail);
                continue;
            }
            // in4..in7 of an ina3221 are shunt voltages and their sum: no rail of their own.
            if (chip == "ina3221" && channel > 3) continue;
            const auto label = files.read_text(folder + "in" + n + "_label");
            if (!files.exists(folder + "in" + n + "_input") ||
                !files.exists(folder + "curr" + n + "_input")) {
                continue;
            }
            rail.label = label.value_or("in" + n);
            rail.voltage_path = files.full_path(folder + "in" + n + "_input");
            rail.current_path = files.full_path(folder + "curr" + n + "_input");
            rails.push_back(rail);
        }
    }
}

// JetPack 4: iio:device0/{rail_name_0, in_power0_input [mW]}.
void add_iio_rails(const SystemFiles& files, std::vector<EnergyRail>& rails) {
    for (const std::string& device : files.list("sys/bus/iio/devices", "iio")) {
        const std::string folder = "sys/bus/iio/devices/" + device + "/";
        const std::string chip = files.read_text(folder + "name").value_or(device);
        for (int channel = 0; channel < 8; ++channel) {
            const std::string n = std::to_string(channel);
            const auto name = files.read_text(folder + "rail_name_" + n);
            if (!name || !files.exists(folder + "in_power" + n + "_input")) continue;
            EnergyRail rail;
            rail.chip = chip;
            rail.label = *name;
            rail.power_path = files.full_path(folder + "in_power" + n + "_input");
            rail.power_unit_uw = 1000;
            rails.push_back(rail);
        }
    }
}

// Full paths of the zones on the chip that computes. Others mislead: the PMIC-Die of a Jetson Nano
// always says 100 degrees. Where no name is known, every zone but the PMIC's.
std::vector<std::string> find_soc_zones(const SystemFiles& files) {
    std::vector<std::string> known;
    std::vector<std::string> others;
    for (const std::string& zone : files.list("sys/class/thermal", "thermal_zone")) {
        const std::string folder = "sys/class/thermal/" + zone + "/";
        std::string type = files.read_text(folder + "type").value_or("");
        std::transform(type.begin(), type.end(), type.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const auto has = [&](const char* word) { return type.find(word) != std::string::npos; };
        const bool on_chip = has("cpu") || has("soc") || has("core") || has("pkg") || has("tj-");
        if (on_chip) known.push_back(files.full_path(folder + "temp"));
        if (!has("pmic")) others.push_back(files.full_path(folder + "temp"));
    }
    return known.empty() ? others : known;
}

std::optional<std::int64_t> largest(const std::vector<std::string>& paths) noexcept {
    std::optional<std::int64_t> result;
    for (const std::string& path : paths) {
        const auto value = read_integer_file(path.c_str());
        if (value && (!result || *value > *result)) result = value;
    }
    return result;
}

std::optional<std::int64_t> sum(const std::vector<std::string>& paths) noexcept {
    std::optional<std::int64_t> result;
    for (const std::string& path : paths) {
        if (const auto value = read_integer_file(path.c_str()))
            result = result.value_or(0) + *value;
    }
    return result;
}

}  // namespace

bool ThrottleReading::disturbed_since(const ThrottleReading& before) const noexcept {
    if (active()) return true;
    if (rpi_flags && (*rpi_flags & ~before.rpi_flags.value_or(0)) != 0) return true;
    return throttle_count && before.throttle_count && *throttle_count > *before.throttle_count;
}

std::vector<EnergyRail> find_energy_rails(const std::string& root) {
    const SystemFiles files(root);
    std::vector<EnergyRail> rails;
    add_hwmon_rails(files, rails);
    add_iio_rails(files, rails);
    return rails;
}

std::optional<std::int64_t> read_power_uw(const EnergyRail& rail) noexcept {
    if (!rail.power_path.empty()) {
        const auto power = read_integer_file(rail.power_path.c_str());
        if (!power) return std::nullopt;
        return *power * rail.power_unit_uw;
    }
    const auto voltage_mv = read_integer_file(rail.voltage_path.c_str());
    const auto current_ma = read_integer_file(rail.current_path.c_str());
    if (!voltage_mv || !current_ma) return std::nullopt;
    return *voltage_mv * *current_ma;
}

MachineWatch::MachineWatch(const std::string& root, const std::vector<int>& cpus) {
    const SystemFiles files(root);
    for (const std::string& policy : files.list(kCpuFolder + "cpufreq", "policy")) {
        const std::string folder = kCpuFolder + "cpufreq/" + policy + "/";
        auto domain = parse_cpu_list(files.read_text(folder + "related_cpus").value_or(""));
        if (!domain || !drives_any(*domain, cpus)) continue;
        domains_.push_back(*domain);
        frequency_paths_.push_back(files.full_path(folder + "scaling_cur_freq"));
    }
    zone_paths_ = find_soc_zones(files);
    for (const std::string& device : files.list("sys/class/thermal", "cooling_device")) {
        const std::string folder = "sys/class/thermal/" + device + "/";
        if (is_cpu_cooling(files.read_text(folder + "type").value_or(""))) {
            cooling_paths_.push_back(files.full_path(folder + "cur_state"));
        }
    }
    for (const std::string& cpu : files.list(kCpuFolder, "cpu")) {
        const auto number = parse_integer(cpu.substr(3));
        if (!number || (!cpus.empty() && !contains(cpus, static_cast<int>(*number)))) continue;
        const std::string path = kCpuFolder + cpu + "/thermal_throttle/core_throttle_count";
        if (files.exists(path)) throttle_count_paths_.push_back(files.full_path(path));
    }
    rpi_flags_path_ = find_rpi_throttled(root);
    rails_ = find_energy_rails(root);
}

std::optional<std::int64_t> MachineWatch::read_freq_khz(std::size_t domain) const noexcept {
    return read_integer_file(frequency_paths_[domain].c_str());
}

std::optional<std::int64_t> MachineWatch::read_temp_mdegc() const noexcept {
    return largest(zone_paths_);
}

ThrottleReading MachineWatch::read_throttle() const noexcept {
    ThrottleReading reading;
    if (!rpi_flags_path_.empty()) {
        char text[32];
        const std::ptrdiff_t length = read_file(rpi_flags_path_.c_str(), text, sizeof text - 1);
        if (length > 0) {
            text[length] = '\0';
            char* end = nullptr;
            // The file holds hexadecimal digits without 0x.
            const unsigned long flags = std::strtoul(text, &end, 16);
            if (end != text) reading.rpi_flags = static_cast<std::uint32_t>(flags);
        }
    }
    reading.cpu_cooling_state = largest(cooling_paths_);
    reading.throttle_count = sum(throttle_count_paths_);
    return reading;
}

std::string find_rpi_throttled(const std::string& root) {
    // ".../soc/soc:firmware/get_throttled" up to the Pi 4, ".../soc@107c000000:firmware/..." on the
    // Pi 5; a captured tree writes ':' in another way. So: a "*firmware" folder, one or two down.
    const SystemFiles files(root);
    const std::string platform = "sys/devices/platform/";
    for (const std::string& outer : files.list(platform, "soc")) {
        const std::string direct = platform + outer + "/get_throttled";
        if (files.exists(direct)) return files.full_path(direct);
        for (const std::string& inner : files.list(platform + outer, "soc")) {
            const std::string nested = platform + outer + "/" + inner + "/get_throttled";
            if (files.exists(nested)) return files.full_path(nested);
        }
    }
    return "";
}

bool is_cpu_cooling(const std::string& cooling_type) {
    const auto has = [&](const char* word) { return cooling_type.find(word) != std::string::npos; };
    return has("cpufreq") || has("balanced") || cooling_type == "Processor" ||
           cooling_type == "intel_powerclamp";
}

}  // namespace edgeprof
