// Which items of a group a round visits, and how often each is run there. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace edgeprof {

// What is known of an item when a round is planned.
struct ItemState {
    bool is_alive;          // has not failed
    bool is_reference;      // runs in every round, briefly
    double latency_ns;      // expected
    std::size_t n_warm;     // untimed inferences after a switch, where that is worth it
    std::size_t n_lacking;  // timed inferences that it must still get in this process
    double half_width;      // of the interval of its ratio; infinity: not known
};

struct Visit {
    std::size_t item;
    std::size_t n_warm;
    std::size_t n_timed;
};

class VisitPlan {
  public:
    // target: the half width that is narrow enough.
    VisitPlan(std::size_t n_items, double target, std::uint64_t seed)
        : credit_(n_items, 1.0), target_(target), random_(seed) {}

    // The visits of the next round, in an order drawn anew; none: the process has done its part,
    // since every interval is narrow or `left_secs` are used up. What an item must still get, it
    // gets even when the time is over.
    std::vector<Visit> next_round(const std::vector<ItemState>& items, double left_secs);

    // Whether all intervals were narrow at the last round's planning.
    bool is_content() const { return is_content_; }

  private:
    std::vector<double> weights(const std::vector<ItemState>& items) const;

    std::vector<double> credit_;  // an item is visited when it has one: all in the first round
    double target_;
    std::mt19937_64 random_;
    bool is_content_ = false;
};

// How many untimed inferences are needed after a switch: more where the first timed ones are still
// slower than the rest of their visits, by a sign test.
class WarmNeed {
  public:
    // Looks at so many visits at a time; what is above by so many standard deviations is believed.
    WarmNeed(std::size_t n_visits, double z) : n_visits_(n_visits), z_(z) {}

    // One item: what is plain after eight of its visits, seven of them slower.
    static WarmNeed of_item() { return {8, 2.1}; }
    // All items of a process: what noise hides in one shows in their mass.
    static WarmNeed of_all() { return {48, 3.0}; }

    void add(const std::vector<std::int64_t>& latency_ns);
    std::size_t n_warm() const { return n_warm_; }

  private:
    std::size_t n_visits_;
    double z_;
    std::size_t n_warm_ = 1;
    std::vector<double> excess_;  // of the first timed inference, per visit
};

}  // namespace edgeprof
