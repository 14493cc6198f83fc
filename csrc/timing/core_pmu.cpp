#include "timing/core_pmu.h"

#include <algorithm>

#include "machine/system_files.h"

namespace edgeprof {

std::vector<CorePmu> find_core_pmus(const std::string& root) {
    const SystemFiles files(root);
    const std::string devices = "sys/bus/event_source/devices";
    std::vector<CorePmu> pmus;
    for (const std::string& name : files.list(devices, "armv")) {
        const std::string folder = devices + "/" + name + "/";
        const auto type = files.read_integer(folder + "type");
        const auto cpus = parse_cpu_list(files.read_text(folder + "cpus").value_or(""));
        if (!type || !cpus || cpus->empty()) continue;
        pmus.push_back({name, static_cast<std::uint32_t>(*type), *cpus});
    }
    return pmus;
}

PmuChoice choose_pmu(const std::vector<CorePmu>& pmus, const std::vector<int>& cpus) {
    if (pmus.size() < 2) return {nullptr, ""};
    const auto has_all = [&cpus](const CorePmu& pmu) {
        return std::all_of(cpus.begin(), cpus.end(), [&pmu](int cpu) {
            return std::find(pmu.cpus.begin(), pmu.cpus.end(), cpu) != pmu.cpus.end();
        });
    };
    if (!cpus.empty()) {
        const auto found = std::find_if(pmus.begin(), pmus.end(), has_all);
        if (found != pmus.end()) return {&*found, ""};
    }
    std::string kinds;
    for (const CorePmu& pmu : pmus) kinds += (kinds.empty() ? "" : ", ") + pmu.name;
    return {nullptr, "cores of several kinds may run the model (" + kinds +
                         "), each with counters of its own; name cores of one kind (--cpus)"};
}

}  // namespace edgeprof
