#include "machine/affinity.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"

namespace edgeprof {

#ifdef __linux__

namespace {

bool set_cpus(const std::vector<int>& cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int cpu : cpus) {
        if (cpu >= CPU_SETSIZE) return false;
        CPU_SET(static_cast<std::size_t>(cpu), &set);
    }
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace

std::vector<int> allowed_cpus() {
    cpu_set_t set;
    std::vector<int> cpus;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
    }
    return cpus;
}

void check_cpus(const std::vector<int>& cpus) {
    if (cpus.empty()) return;
    const std::vector<int> before = allowed_cpus();
    for (const int cpu : cpus) {
        if (set_cpus({cpu})) continue;
        set_cpus(before);
        throw Error(ErrorKind::kInvalidJob,
                    "cpu " + std::to_string(cpu) + " cannot be used; this process may use " +
                        std::to_string(before.size()) + " cores, the last being " +
                        std::to_string(before.empty() ? 0 : before.back()));
    }
    set_cpus(before);
}

ScopedAffinity::ScopedAffinity(const std::vector<int>& cpus) {
    if (cpus.empty()) return;
    const std::vector<int> before = allowed_cpus();
    if (set_cpus(cpus)) previous_ = before;
}

ScopedAffinity::~ScopedAffinity() {
    if (!previous_.empty()) set_cpus(previous_);
}

#else

std::vector<int> allowed_cpus() { return {}; }

void check_cpus(const std::vector<int>& cpus) {
    if (!cpus.empty()) {
        throw Error(ErrorKind::kInvalidJob,
                    "cores cannot be chosen on this system; leave cpus out");
    }
}

ScopedAffinity::ScopedAffinity(const std::vector<int>&) {}

ScopedAffinity::~ScopedAffinity() = default;

#endif

}  // namespace edgeprof
