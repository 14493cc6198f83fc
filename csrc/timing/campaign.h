// The rounds of a campaign in one process: the items of a group visited in turns, in an order drawn
// anew each round, so that whatever the machine does meets all of them alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "timing/instruments.h"
#include "timing/ratio_estimate.h"

namespace edgeprof {

// An item that is loaded.
struct CampaignSubject {
    LoadedModel* model;
    Instruments* instruments;
    MeasureSettings settings;
    bool is_reference;
    std::size_t n_needed;  // timed inferences in this process; see fewest_samples()
};

struct VisitSamples {
    std::size_t item;
    std::vector<std::int64_t> latency_ns;
    std::vector<std::int64_t> begin_ns;  // CLOCK_MONOTONIC_RAW
    std::vector<std::uint16_t> disturbed;
    std::vector<std::int64_t> waited_ns;  // of the latency: others held the core; 0: not told
};

struct Round {
    std::size_t number;  // from 0
    double spent_secs;   // in visits of this process until its end, those of failed items included
    std::vector<VisitSamples> visits;
};

struct CampaignListener {
    std::function<void(std::size_t item, double limit_secs)> on_visit;  // before each
    std::function<void(std::size_t item, const std::string& failure)> on_failure;
    std::function<void(const Round& round)> on_round;
};

struct RoundsSettings {
    double budget_secs;  // of this process
    double target;       // half width of a ratio's interval that is narrow enough here
    std::uint64_t seed;
};

enum class RoundsEnd { kInterval, kBudget, kNothingLeft };
const char* name_of(RoundsEnd end) noexcept;

// latency_ns: expected, per subject; 0: has failed already. `estimate` may know earlier processes;
// its last one is this.
RoundsEnd run_rounds(const std::vector<CampaignSubject>& subjects, std::vector<double> latency_ns,
                     const RoundsSettings& settings, RatioEstimate& estimate,
                     const CampaignListener& listener);

}  // namespace edgeprof
