#include "timing/instruments.h"

#include <algorithm>
#include <limits>

#include "timing/timed_region.h"

namespace edgeprof {

namespace {

// The shortest of a few runs: the first finds paths and caches cold.
template <class Read>
double cost_ns(int n_runs, Read&& read) {
    double least_ns = std::numeric_limits<double>::infinity();
    for (int run = 0; run < n_runs; ++run) {
        const std::int64_t before_ns = monotonic_raw_ns();
        read();
        least_ns = std::min(least_ns, static_cast<double>(monotonic_raw_ns() - before_ns));
    }
    return least_ns;
}

}  // namespace

MachineInstruments::MachineInstruments(Clock& clock, CounterGroup* counters,
                                       const MeasureSettings& settings, const std::string& root,
                                       EnergySampler* energy)
    : clock_(clock),
      counters_(counters),
      energy_(energy),
      evidence_(settings.has_worker_threads, energy != nullptr ? energy->thread_id() : -1),
      conditions_(root, settings.cpus, energy) {}

std::uint64_t MachineInstruments::now_ticks() {
    return with_clock(clock_.kind(), [](auto clock) { return clock.begin(); });
}

ReadingCosts MachineInstruments::reading_costs() {
    ReadingCosts costs{};
    costs.clock_ns = clock_.read_cost_ns();
    costs.evidence_ns = cost_ns(16, [this] { evidence_.read(); });
    costs.conditions_ns = has_rails() ? 0.0 : cost_ns(4, [this] { conditions_.read(0); });
    if (counters_ != nullptr) costs.counters_ns = counters_->read_cost_ns();
    return costs;
}

std::size_t MachineInstruments::time(LoadedModel& model, std::size_t n, std::uint64_t* begins,
                                     std::uint64_t* ticks, CounterValues* counts) noexcept {
    CounterGroup* counters = counts != nullptr ? counters_ : nullptr;
    return time_inferences(clock_, model, n, begins, ticks, counters, counts);
}

}  // namespace edgeprof
