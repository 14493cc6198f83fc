#include "machine/nvidia_gpus.h"

#include <dlfcn.h>

#include <array>
#include <cstdint>

namespace edgeprof {

namespace {

// nvml.h of the CUDA toolkit: a result of 0 is success.
using Device = void*;
using Status = int;
struct Memory {
    unsigned long long total, free, used;
};
constexpr int kGraphicsClock = 0;
constexpr int kMemoryClock = 2;

class Nvml {
  public:
    explicit Nvml(const char* library) : handle_(dlopen(library, RTLD_NOW | RTLD_LOCAL)) {
        is_on_ = call<Status()>("nvmlInit_v2");
    }
    ~Nvml() {
        if (is_on_) call<Status()>("nvmlShutdown");
    }
    Nvml(const Nvml&) = delete;
    Nvml& operator=(const Nvml&) = delete;

    bool is_on() const { return is_on_; }

    // Whether the function is there and succeeds.
    template <class Function, class... Arguments>
    bool call(const char* name, Arguments... arguments) const {
        if (handle_ == nullptr) return false;
        auto* function = reinterpret_cast<Function*>(dlsym(handle_, name));
        return function != nullptr && function(arguments...) == 0;
    }

    // A number that a function of the device writes.
    template <class... Arguments>
    std::optional<std::int64_t> number(const char* name, Device device,
                                       Arguments... arguments) const {
        unsigned value = 0;
        if (!call<Status(Device, Arguments..., unsigned*)>(name, device, arguments..., &value)) {
            return std::nullopt;
        }
        return value;
    }

  private:
    void* handle_;  // never closed: the driver's library keeps threads
    bool is_on_ = false;
};

Facts facts_of(const Nvml& nvml, Device device) {
    Facts facts;
    std::array<char, 96> text{};
    constexpr auto kSize = static_cast<unsigned>(text.size() - 1);
    if (nvml.call<Status(Device, char*, unsigned)>("nvmlDeviceGetName", device, text.data(),
                                                   kSize)) {
        facts.add("name", std::optional<std::string>(text.data()));
    }
    text = {};
    if (nvml.call<Status(char*, unsigned)>("nvmlSystemGetDriverVersion", text.data(), kSize)) {
        facts.add("driver_version", std::optional<std::string>(text.data()));
    }
    const auto clock = [&](const char* function, int kind) {
        return nvml.number(function, device, kind);
    };
    facts.add("clock_mhz", clock("nvmlDeviceGetClockInfo", kGraphicsClock));
    facts.add("max_clock_mhz", clock("nvmlDeviceGetMaxClockInfo", kGraphicsClock));
    facts.add("memory_clock_mhz", clock("nvmlDeviceGetClockInfo", kMemoryClock));
    facts.add("max_memory_clock_mhz", clock("nvmlDeviceGetMaxClockInfo", kMemoryClock));
    facts.add("performance_state", nvml.number("nvmlDeviceGetPerformanceState", device));
    facts.add("power_limit_mw", nvml.number("nvmlDeviceGetEnforcedPowerLimit", device));
    facts.add("temperature_c", nvml.number("nvmlDeviceGetTemperature", device, 0));
    Memory memory{};
    if (nvml.call<Status(Device, Memory*)>("nvmlDeviceGetMemoryInfo", device, &memory)) {
        facts.add("memory_bytes", static_cast<std::int64_t>(memory.total));
        facts.add("memory_free_bytes", static_cast<std::int64_t>(memory.free));
    }
    return facts;
}

}  // namespace

std::vector<Facts> read_nvidia_gpus(const char* library) {
    std::vector<Facts> gpus;
    const Nvml nvml(library);
    unsigned count = 0;
    if (!nvml.is_on() || !nvml.call<Status(unsigned*)>("nvmlDeviceGetCount_v2", &count))
        return gpus;
    for (unsigned i = 0; i < count; ++i) {
        Device device = nullptr;
        if (nvml.call<Status(unsigned, Device*)>("nvmlDeviceGetHandleByIndex_v2", i, &device)) {
            gpus.push_back(facts_of(nvml, device));
        }
    }
    return gpus;
}

}  // namespace edgeprof
