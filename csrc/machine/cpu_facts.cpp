#include "machine/cpu_facts.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "machine/core_names.h"

namespace edgeprof {
namespace {

struct CoreType {
    std::string name;
    std::optional<CoreId> id;
    std::optional<std::int64_t> capacity;
    std::vector<int> cpus;
};

std::optional<std::uint32_t> cpuinfo_field(const Pairs& pairs, const char* key) {
    const auto value = parse_integer(find(pairs, key).value_or(""), 0);
    if (!value) return std::nullopt;
    return static_cast<std::uint32_t>(*value);
}

std::optional<CoreId> core_id(const SystemFiles& files, int cpu, const CpuInfo& info) {
    const auto midr = files.read_integer(kCpuFolder + "cpu" + std::to_string(cpu) +
                                         "/regs/identification/midr_el1");
    if (midr) return decode_midr(static_cast<std::uint64_t>(*midr));
    const auto at = info.by_cpu.find(cpu);
    if (at == info.by_cpu.end()) return std::nullopt;
    const auto implementer = cpuinfo_field(at->second, "CPU implementer");
    const auto part = cpuinfo_field(at->second, "CPU part");
    if (!implementer || !part) return std::nullopt;
    return CoreId{*implementer, cpuinfo_field(at->second, "CPU variant").value_or(0), *part,
                  cpuinfo_field(at->second, "CPU revision").value_or(0)};
}

std::string name_of_core(const std::optional<CoreId>& id, int cpu, const CpuInfo& info) {
    if (id) {
        const char* name = core_name(id->implementer, id->part);
        if (name != nullptr) return name;
        return "implementer " + hexadecimal(id->implementer) + " part " + hexadecimal(id->part);
    }
    const auto at = info.by_cpu.find(cpu);
    return at == info.by_cpu.end() ? "" : find(at->second, "model name").value_or("");
}

std::vector<int> online_cpus(const SystemFiles& files, const CpuInfo& info) {
    auto online = parse_cpu_list(files.read_text(kCpuFolder + "online").value_or(""));
    if (online && !online->empty()) return *online;
    std::vector<int> cpus;
    for (const auto& entry : info.by_cpu) cpus.push_back(entry.first);
    return cpus;
}

}  // namespace

CpuInfo::CpuInfo(const std::string& text) {
    std::string block;
    const auto close = [&] {
        auto pairs = read_pairs(block, ':');
        const auto number = parse_integer(find(pairs, "processor").value_or(""));
        // ARM kernels close with a block of no CPU: Hardware, Revision, Model.
        if (number && *number >= 0) by_cpu.emplace(static_cast<int>(*number), std::move(pairs));
        block.clear();
    };
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        if (end == at) {
            close();
        } else {
            block.append(text, at, end - at).append("\n");
        }
        at = end + 1;
    }
    close();
}

void add_cores(const SystemFiles& files, const CpuInfo& info, Facts& state) {
    const std::vector<int> online = online_cpus(files, info);
    state.add("online_cpus", online);
    std::vector<CoreType> types;
    for (const int cpu : online) {
        CoreType type;
        type.id = core_id(files, cpu, info);
        type.name = name_of_core(type.id, cpu, info);
        type.capacity =
            files.read_integer(kCpuFolder + "cpu" + std::to_string(cpu) + "/cpu_capacity");
        auto same = types.begin();
        while (same != types.end() && !(same->name == type.name && same->id == type.id &&
                                        same->capacity == type.capacity)) {
            ++same;
        }
        if (same == types.end()) same = types.insert(same, std::move(type));
        same->cpus.push_back(cpu);
    }
    std::vector<Facts> list;
    for (const CoreType& type : types) {
        Facts facts;
        facts.add("name", type.name);
        if (type.id) {
            facts.add("implementer", hexadecimal(type.id->implementer));
            facts.add("part", hexadecimal(type.id->part));
            facts.add("revision", "r" + std::to_string(type.id->variant) + "p" +
                                      std::to_string(type.id->revision));
        }
        facts.add("capacity", type.capacity);
        facts.add("cpus", type.cpus);
        list.push_back(std::move(facts));
    }
    state.add("core_types", list);
}

void add_frequencies(const SystemFiles& files, Facts& state) {
    std::vector<Facts> clusters;
    for (const std::string& policy : files.list(kCpuFolder + "cpufreq", "policy")) {
        const std::string folder = kCpuFolder + "cpufreq/" + policy + "/";
        const auto integer = [&](const char* file) { return files.read_integer(folder + file); };
        Facts facts;
        facts.add("name", policy);
        const auto cpus = parse_cpu_list(files.read_text(folder + "related_cpus").value_or(""));
        facts.add("cpus", cpus.value_or(std::vector<int>{}));
        facts.add("driver", files.read_text(folder + "scaling_driver"));
        facts.add("governor", files.read_text(folder + "scaling_governor"));
        facts.add("available_governors",
                  split(files.read_text(folder + "scaling_available_governors").value_or("")));
        facts.add("cur_freq_khz", integer("scaling_cur_freq"));
        facts.add("min_freq_khz", integer("scaling_min_freq"));
        facts.add("max_freq_khz", integer("scaling_max_freq"));
        facts.add("hardware_min_freq_khz", integer("cpuinfo_min_freq"));
        facts.add("hardware_max_freq_khz", integer("cpuinfo_max_freq"));
        facts.add("base_freq_khz", integer("base_frequency"));
        facts.add_flag("boost", as_flag(integer("boost")));
        facts.add("energy_preference", files.read_text(folder + "energy_performance_preference"));
        clusters.push_back(std::move(facts));
    }
    state.add("clusters", clusters);
    // One switch for the machine: cpufreq's, or intel_pstate's, which is the other way round.
    auto boost = as_flag(files.read_integer(kCpuFolder + "cpufreq/boost"));
    const auto no_turbo = files.read_integer(kCpuFolder + "intel_pstate/no_turbo");
    if (!boost && no_turbo) boost = *no_turbo == 0;
    state.add_flag("boost", boost);
}

}  // namespace edgeprof
