#include "timing/visit_plan.h"

#include <algorithm>
#include <cmath>

#include "timing/statistics.h"

namespace edgeprof {

namespace {

constexpr double kVisit_ns = 4e7;           // so long an item is timed at a time
constexpr double kReferenceVisit_ns = 5e6;  // a reference
constexpr std::size_t kMostTimed = 12;      // inferences of a visit: raw samples are kept
constexpr double kNarrowWeight = 0.125;     // of the rounds an item is visited that is known
// To fill the caches anew takes milliseconds: nothing to an inference as long as this.
constexpr double kNoSwitchCost_ns = 5e8;

Visit visit_of(std::size_t item, const ItemState& state) {
    const double length_ns = state.is_reference ? kReferenceVisit_ns : kVisit_ns;
    const double n = std::floor(length_ns / std::max(state.latency_ns, 1.0));
    const auto n_timed = static_cast<std::size_t>(std::clamp(n, 1.0, double{kMostTimed}));
    return {item, state.latency_ns < kNoSwitchCost_ns ? state.n_warm : 0, n_timed};
}

double cost_ns(const Visit& visit, const ItemState& state) {
    return static_cast<double>(visit.n_warm + visit.n_timed) * state.latency_ns;
}

}  // namespace

// The time is shared out: an item whose visits are long is visited less often.
std::vector<double> VisitPlan::weights(const std::vector<ItemState>& items) const {
    std::vector<double> costs;
    for (std::size_t i = 0; i < items.size(); ++i) {
        costs.push_back(cost_ns(visit_of(i, items[i]), items[i]));
    }
    const double fair_ns = std::max(2.0 * median(costs), 3.0 * kVisit_ns);
    std::vector<double> weights;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const bool is_narrow = items[i].half_width <= target_;
        const double wanted = is_narrow && !items[i].is_reference ? kNarrowWeight : 1.0;
        weights.push_back(wanted * std::min(1.0, fair_ns / costs[i]));
    }
    return weights;
}

std::vector<Visit> VisitPlan::next_round(const std::vector<ItemState>& items, double left_secs) {
    double lacking_secs = 0.0;
    bool has_items = false;
    is_content_ = true;
    for (const ItemState& item : items) {
        if (!item.is_alive || item.is_reference) continue;
        has_items = true;
        lacking_secs += static_cast<double>(item.n_lacking) * item.latency_ns / 1e9;
        is_content_ = is_content_ && item.n_lacking == 0 && item.half_width <= target_;
    }
    const bool is_late = left_secs <= lacking_secs;  // only what is lacking is still done
    if (!has_items || is_content_ || (is_late && lacking_secs == 0.0)) return {};
    const std::vector<double> weight = weights(items);
    std::vector<Visit> visits;
    bool has_visits = false;
    while (!has_visits) {
        visits.clear();
        for (std::size_t i = 0; i < items.size(); ++i) {
            const ItemState& item = items[i];
            if (!item.is_alive) continue;
            credit_[i] += weight[i];
            const bool is_due =
                is_late && !item.is_reference ? item.n_lacking > 0 : credit_[i] >= 1.0;
            if (!is_due) continue;
            credit_[i] = std::max(0.0, credit_[i] - 1.0);
            visits.push_back(visit_of(i, item));
            has_visits = has_visits || !item.is_reference;
        }
    }
    // Fisher and Yates; std::shuffle may differ between libraries.
    for (std::size_t i = visits.size(); i > 1; --i) std::swap(visits[i - 1], visits[random_() % i]);
    return visits;
}

void WarmNeed::add(const std::vector<std::int64_t>& latency_ns) {
    constexpr std::size_t kMost = 5;
    constexpr double kNotable = 0.01;
    if (latency_ns.size() < 3 || n_warm_ >= kMost) return;
    const std::vector<double> rest(latency_ns.begin() + 1, latency_ns.end());
    excess_.push_back(static_cast<double>(latency_ns.front()) / std::max(median(rest), 1.0) - 1.0);
    if (excess_.size() < n_visits_) return;
    // Noise alone makes half of them slower, whatever the median.
    const auto n_slower = static_cast<double>(
        std::count_if(excess_.begin(), excess_.end(), [](double excess) { return excess > 0.0; }));
    const auto n = static_cast<double>(n_visits_);
    if (2.0 * n_slower - n >= z_ * std::sqrt(n) && median(excess_) > kNotable) ++n_warm_;
    excess_.clear();
}

}  // namespace edgeprof
