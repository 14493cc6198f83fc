#include "machine/energy_sampler.h"

#include <algorithm>
#include <chrono>

#ifdef __linux__
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/error.h"
#include "machine/affinity.h"

namespace edgeprof {

namespace {

constexpr std::chrono::milliseconds kPeriod{20};

// Cores of this process that run no model.
std::vector<int> cores_left(const std::vector<int>& measured_cpus) {
    std::vector<int> left;
    if (measured_cpus.empty()) return left;
    for (const int cpu : allowed_cpus()) {
        const auto found = std::find(measured_cpus.begin(), measured_cpus.end(), cpu);
        if (found == measured_cpus.end()) left.push_back(cpu);
    }
    return left;
}

}  // namespace

EnergySampler::EnergySampler(const std::string& root, const std::vector<int>& measured_cpus)
    : rails_(find_energy_rails(root)) {
    const std::vector<int> cpus = cores_left(measured_cpus);
    if (rails_.empty() || cpus.empty()) return;
    std::unique_lock<std::mutex> lock(mutex_);
    thread_ = std::thread([this, cpus] { run(cpus); });
    changed_.wait(lock, [this] { return thread_id_ >= 0; });
}

EnergySampler::~EnergySampler() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        is_stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void EnergySampler::run(const std::vector<int>& cpus) {
    std::optional<ScopedAffinity> affinity;
    int id = 0;
#ifdef __linux__
    id = static_cast<int>(syscall(SYS_gettid));
    setpriority(PRIO_PROCESS, static_cast<id_t>(id), 19);  // of this thread alone, on Linux
#endif
    try {
        affinity.emplace(cpus);
    } catch (const Error&) {  // a core went away meanwhile: the low priority has to do
    }
    std::unique_lock<std::mutex> lock(mutex_);
    thread_id_ = id;
    changed_.notify_all();
    while (!is_stopping_) {
        if (!is_in_block_) {
            changed_.wait(lock, [this] { return is_stopping_ || is_in_block_; });
            continue;
        }
        const std::uint64_t block = block_;
        lock.unlock();
        read_rails(block);
        lock.lock();
        changed_.wait_for(lock, kPeriod, [this] { return is_stopping_; });
    }
}

// The sensors are read without the lock: the measuring thread never waits for one.
void EnergySampler::read_rails(std::uint64_t block) {
    for (std::size_t rail = 0; rail < rails_.size(); ++rail) {
        const std::optional<std::int64_t> power_uw = read_power_uw(rails_[rail]);
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!is_in_block_ || block_ != block) return;  // it ended meanwhile
        if (!power_uw) continue;
        sums_[rail].mean_uw += *power_uw;
        ++sums_[rail].n_readings;
    }
}

void EnergySampler::start_block() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        ++block_;
        is_in_block_ = true;
        sums_.assign(rails_.size(), RailPower{0, 0});
    }
    if (has_thread()) changed_.notify_all();
}

BlockPower EnergySampler::end_block() {
    if (!has_thread()) read_rails(block_);
    const std::lock_guard<std::mutex> lock(mutex_);
    is_in_block_ = false;
    BlockPower power;
    for (const RailPower& sum : sums_) {
        if (sum.n_readings == 0) {
            power.push_back(std::nullopt);
            continue;
        }
        const auto n = static_cast<std::int64_t>(sum.n_readings);
        power.push_back(RailPower{sum.mean_uw / n, sum.n_readings});
    }
    return power;
}

}  // namespace edgeprof
