// Power of the board's rails while a model runs.
//
// Reading a sensor is a transfer over a slow bus (milliseconds). Where cores are named for the
// model and others are left, a thread of low priority on those reads all the while, 50 times a
// second at most. Else the sensors are read once after each block, between the models' inferences.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "machine/machine_watch.h"

namespace edgeprof {

// Of one rail, over one block.
struct RailPower {
    std::int64_t mean_uw;
    std::size_t n_readings;
};
using BlockPower = std::vector<std::optional<RailPower>>;  // per rail

class EnergySampler {
  public:
    // root: "/" but for tests. measured_cpus: of all models; empty: any core may run one. To be
    // made before counters are opened: a thread made later would inherit them.
    EnergySampler(const std::string& root, const std::vector<int>& measured_cpus);
    ~EnergySampler();
    EnergySampler(const EnergySampler&) = delete;
    EnergySampler& operator=(const EnergySampler&) = delete;

    const std::vector<EnergyRail>& rails() const noexcept { return rails_; }
    bool has_thread() const noexcept { return thread_.joinable(); }
    int thread_id() const noexcept { return thread_id_; }  // the kernel's; -1: no thread

    void start_block();
    BlockPower end_block();

  private:
    void run(const std::vector<int>& cpus);
    void read_rails(std::uint64_t block);

    std::vector<EnergyRail> rails_;
    std::thread thread_;
    int thread_id_ = -1;
    std::mutex mutex_;  // over all below
    std::condition_variable changed_;
    bool is_stopping_ = false;
    bool is_in_block_ = false;
    std::uint64_t block_ = 0;
    std::vector<RailPower> sums_;  // mean_uw: the sum
};

}  // namespace edgeprof
