// A running estimate of how sure the ratios of a group are: enough to steer a campaign by. The
// result that is reported is estimated on the host, from the raw samples. Pure.
#pragma once

#include <cstddef>
#include <vector>

namespace edgeprof {

// Items are visited in rounds. The log of an item's latency is taken for its own share, which
// differs between processes, and the level of its round, which all that were visited share.
class RatioEstimate {
  public:
    explicit RatioEstimate(std::size_t n_items) : n_items_(n_items) {}

    void start_process() { processes_.emplace_back(); }
    // The log of each item's latency in this round; NaN: not visited.
    void add_round(std::vector<double> log_latency);

    // Half the 95 % interval of each item's log ratio to the level; infinity where too few rounds
    // tell. Of the last process alone, and of all: what differs between them included.
    std::vector<double> half_widths_here() const;
    std::vector<double> half_widths() const;

  private:
    struct Share {
        double mean;
        double variance;  // of the mean; infinity: too few rounds
    };
    using Rounds = std::vector<std::vector<double>>;
    std::vector<Share> shares(const Rounds& rounds) const;

    std::size_t n_items_;
    std::vector<Rounds> processes_;
};

}  // namespace edgeprof
