// Facts about the processors: core types, frequency domains, boost.
#pragma once

#include <map>
#include <string>

#include "machine/facts.h"
#include "machine/system_files.h"

namespace edgeprof {

// One block of /proc/cpuinfo per CPU: "processor : 0" and what follows.
struct CpuInfo {
    std::map<int, Pairs> by_cpu;

    explicit CpuInfo(const std::string& text);
};

void add_cores(const SystemFiles& files, const CpuInfo& info, Facts& state);
void add_frequencies(const SystemFiles& files, Facts& state);

}  // namespace edgeprof
