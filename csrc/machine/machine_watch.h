// What may change while measuring: frequency, temperature, throttling, power.
//
// Paths are found once, in the constructor; each read after that opens a few small files, allocates
// nothing and throws nothing, so that it can stand between two samples. Never inside a timed
// region.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace edgeprof {

// Evidence of throttling, by the three ways kernels give it. Compare two readings: a value that
// grew, or a bit that appeared, means that the clock was lowered in between.
struct ThrottleReading {
    // Raspberry Pi firmware: bits 0-3 now (under-voltage, frequency capped, throttled, soft
    // temperature limit), bits 16-19 the same since the bits were last cleared.
    std::optional<std::uint32_t> rpi_flags;
    // Largest state of the cooling devices that lower the CPUs' frequency; 0 = not cooling.
    std::optional<std::int64_t> cpu_cooling_state;
    // x86: times any watched core was throttled since boot.
    std::optional<std::int64_t> throttle_count;

    // Under-voltage or throttling at this moment.
    bool active() const noexcept {
        return (rpi_flags && (*rpi_flags & 0xfu) != 0) ||
               (cpu_cooling_state && *cpu_cooling_state > 0);
    }
    // True when something happened between `before` and this reading, or is going on now.
    bool disturbed_since(const ThrottleReading& before) const noexcept;
};

// One supply rail with a power sensor.
struct EnergyRail {
    std::string chip;   // "ina3221"
    std::string label;  // "VDD_IN"; the channel's name where the board gives no label
    // A rail gives its power, or its voltage and current.
    std::string power_path;  // full paths; empty = not there
    std::string voltage_path;
    std::string current_path;
    std::int64_t power_unit_uw = 1;  // of power_path: hwmon 1 uW, JetPack 4 iio 1000 uW
};

// Every rail with a sensor below `root` (hwmon, and the iio form of JetPack 4).
std::vector<EnergyRail> find_energy_rails(const std::string& root);
// Microwatt; nothing when the sensor does not answer.
std::optional<std::int64_t> read_power_uw(const EnergyRail& rail) noexcept;

class MachineWatch {
  public:
    // cpus: those that will run the model; all online ones when empty.
    MachineWatch(const std::string& root, const std::vector<int>& cpus);

    // One entry per watched frequency domain; `cpus_of_domain` says which CPUs it drives.
    std::size_t domain_count() const noexcept { return frequency_paths_.size(); }
    const std::vector<int>& cpus_of_domain(std::size_t domain) const { return domains_[domain]; }
    // kHz as the driver reports them; nothing where the kernel gives none.
    std::optional<std::int64_t> read_freq_khz(std::size_t domain) const noexcept;
    // The hottest zone of the chip, in thousandths of a degree Celsius.
    std::optional<std::int64_t> read_temp_mdegc() const noexcept;
    ThrottleReading read_throttle() const noexcept;
    const std::vector<EnergyRail>& rails() const noexcept { return rails_; }

  private:
    std::vector<std::vector<int>> domains_;
    std::vector<std::string> frequency_paths_;
    std::vector<std::string> zone_paths_;
    std::string rpi_flags_path_;
    std::vector<std::string> cooling_paths_;
    std::vector<std::string> throttle_count_paths_;
    std::vector<EnergyRail> rails_;
};

// Full path of the Raspberry Pi firmware's get_throttled file; empty where there is none.
std::string find_rpi_throttled(const std::string& root);
// Cooling devices that slow CPUs down: "cpufreq-cpu0" and "thermal-cpufreq-0" of the generic
// driver, "cpu-balanced" and its like of a Jetson Nano, "Processor" and "intel_powerclamp" of x86.
bool is_cpu_cooling(const std::string& cooling_type);

}  // namespace edgeprof
