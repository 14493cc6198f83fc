// Which core a measurement runs on that may run on any: it leaves one that is slow for another of
// the same kind. A neighbour on the other hyper-thread, or an interrupt's favourite core, slows one
// core at a time.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace edgeprof {

// Those of the cores that are of one kind with the given one: same capacity, part and highest
// clock, as far as the files below `root` tell.
std::vector<int> cores_like(int cpu, const std::vector<int>& cpus, const std::string& root);

class CoreChoice {
  public:
    // Of fewer than two cores there is nothing to choose.
    CoreChoice() = default;
    explicit CoreChoice(std::vector<int> cores) : cores_(std::move(cores)) {}

    // After a block. True when it is time to look for another core: two in a row were slow.
    bool is_due(bool is_slow);
    // The cores to look at, those after `cpu` first.
    std::vector<int> others(int cpu) const;
    void move_to(int cpu) { chosen_ = {cpu}; }
    // Where to run; empty before the first move: the scheduler's choice.
    const std::vector<int>& cpus() const { return chosen_; }

  private:
    std::vector<int> cores_;
    std::vector<int> chosen_;
    std::size_t n_slow_ = 0;  // in a row
};

}  // namespace edgeprof
