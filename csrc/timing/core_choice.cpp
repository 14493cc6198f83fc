#include "timing/core_choice.h"

#include <algorithm>
#include <iterator>

#include "machine/system_files.h"

namespace edgeprof {

namespace {

constexpr std::size_t kSlowInARow = 2;

std::string kind_of(int cpu, const SystemFiles& files) {
    std::string kind;
    for (const char* name :
         {"cpu_capacity", "regs/identification/midr_el1", "cpufreq/cpuinfo_max_freq"}) {
        const std::string path = kCpuFolder + "cpu" + std::to_string(cpu) + "/" + name;
        kind += files.read_text(path).value_or("") + "|";
    }
    return kind;
}

}  // namespace

std::vector<int> cores_like(int cpu, const std::vector<int>& cpus, const std::string& root) {
    const SystemFiles files(root);
    const std::string kind = kind_of(cpu, files);
    std::vector<int> alike;
    std::copy_if(cpus.begin(), cpus.end(), std::back_inserter(alike),
                 [&](int other) { return kind_of(other, files) == kind; });
    return alike;
}

bool CoreChoice::is_due(bool is_slow) {
    n_slow_ = is_slow ? n_slow_ + 1 : 0;
    if (cores_.size() < 2 || n_slow_ < kSlowInARow) return false;
    n_slow_ = 0;
    return true;
}

std::vector<int> CoreChoice::others(int cpu) const {
    std::vector<int> others = cores_;
    const auto after = std::upper_bound(others.begin(), others.end(), cpu);
    std::rotate(others.begin(), after, others.end());
    others.erase(std::remove(others.begin(), others.end(), cpu), others.end());
    return others;
}

}  // namespace edgeprof
