#include "timing/run.h"

#include <algorithm>

#include "machine/affinity.h"
#include "timing/prepare.h"

namespace edgeprof {

void Run::Recording::resize(std::size_t n, bool has_counts) {
    begins.resize(n);
    ticks.resize(n);
    disturbed.resize(n);
    waited_ns.resize(n);
    if (has_counts) counts.resize(n);
}

bool Run::prepare(const WarmListener& on_warm) {
    const MeasureSettings& settings = subject_.settings;
    const ScopedAffinity affinity(settings.cpus);
    const auto prepared = prepare_model(*subject_.model, instruments_, settings);
    if (!prepared) return false;
    outcome_.first_inference_ns = prepared->first_inference_ns;
    outcome_.warmup = prepared->warmup;
    expected_ns_ = prepared->latency_ns;
    if (on_warm) on_warm(static_cast<std::int64_t>(expected_ns_));
    const CounterGroup* counters = instruments_.counters();
    plan_ = plan_blocks({expected_ns_, instruments_.reading_costs(),
                         counters != nullptr && counters->size() > 0, instruments_.has_rails(),
                         is_interleaved_, settings.max_samples});
    // Touch the memory of the first block now: page faults between samples would count as ours.
    recording_.resize(std::min(plan_.block_samples, settings.max_samples), plan_.reads_counters);
    recording_.resize(0, plan_.reads_counters);
    outcome_.blocks.push_back(instruments_.read_conditions(0));
    return true;
}

// The samples of a stretch share its evidence. Returns how many inferences succeeded.
std::size_t Run::time_stretch(std::size_t first, std::size_t n, Evidence& before,
                              std::uint16_t mask) {
    CounterValues* counts = plan_.reads_counters ? recording_.counts.data() + first : nullptr;
    const std::size_t timed =
        instruments_.time(*subject_.model, n, recording_.begins.data() + first,
                          recording_.ticks.data() + first, counts);
    const Evidence after = instruments_.read_evidence();
    std::uint64_t ticks = 0;
    for (std::size_t i = first; i < first + timed; ++i) ticks += recording_.ticks[i];
    const std::int64_t stretch_ns = ticks_to_ns(ticks, instruments_.scale());
    mask = static_cast<std::uint16_t>(mask | disturbance_between(before, after, stretch_ns));
    for (std::size_t i = first; i < first + timed; ++i) {
        recording_.disturbed[i] = mask;
        recording_.waited_ns[i] = after.waited_ns - before.waited_ns;
    }
    outcome_.page_faults.minor += after.minor_faults - before.minor_faults;
    outcome_.page_faults.major += after.major_faults - before.major_faults;
    if (timed == n) {
        expected_ns_ =
            std::min(expected_ns_, static_cast<double>(stretch_ns) / static_cast<double>(n));
    }
    before = after;
    return timed;
}

// False when an inference failed.
bool Run::time_block(std::size_t n, std::int64_t deadline_ns, std::size_t& done) {
    const std::size_t first = done;
    const bool has_switched = (is_interleaved_ || has_switched_) && plan_.block_samples > 1;
    has_switched_ = false;
    Evidence before = instruments_.read_evidence();
    while (done < first + n) {
        const bool is_after_switch = has_switched && done == first;
        const std::size_t stretch =
            is_after_switch ? 1 : std::min(plan_.evidence_samples, first + n - done);
        const double expected_end_ns = static_cast<double>(instruments_.now_ns()) +
                                       expected_ns_ * static_cast<double>(stretch);
        is_out_of_time_ = expected_end_ns > static_cast<double>(deadline_ns);
        if (is_out_of_time_ && done >= fewest_samples(expected_ns_)) return true;
        const std::uint16_t mask = is_after_switch ? kAfterSwitch : 0;
        const std::size_t timed = time_stretch(done, stretch, before, mask);
        done += timed;
        if (timed < stretch) return false;
    }
    return true;
}

bool Run::measure_block(std::int64_t deadline_ns) {
    const ScopedAffinity affinity(subject_.settings.cpus);
    const std::size_t first = recording_.size();
    const std::size_t most =
        std::max({subject_.settings.max_samples, first + 1, fewest_samples(expected_ns_)});
    const std::size_t n = std::min(plan_.block_samples, most - first);
    instruments_.start_block();
    const std::int64_t start_ns = instruments_.now_ns();
    if (first == 0) sampling_start_ns_ = start_ns;
    recording_.resize(first + n, plan_.reads_counters);
    std::size_t done = first;
    if (plan_.reads_counters) instruments_.counters()->switch_on();
    const bool is_done = time_block(n, deadline_ns, done);
    if (plan_.reads_counters) instruments_.counters()->switch_off();
    recording_.resize(done, plan_.reads_counters);
    const std::int64_t end_ns = instruments_.now_ns();
    outcome_.sampling_wall_ns += end_ns - start_ns;
    outcome_.sampling_span_ns = end_ns - sampling_start_ns_;
    outcome_.blocks.push_back(instruments_.read_conditions(done));
    judge_calm();
    return is_done;
}

bool Run::should_stop(bool is_over) {
    const Progress progress{secs_since(sampling_start_ns_), recording_.size(),
                            outcome_.blocks.size() - 1, is_over};
    if (!has_enough()) return false;
    if (!decision_.is_due(progress)) return last_look_.has_value();
    const std::int64_t start_ns = instruments_.now_ns();
    last_look_ = decision_.look(progress, used_latencies(samples_so_far()));
    if (last_look_) outcome_.stop_reason = *last_look_;
    decision_.note_look(progress, secs_since(start_ns));
    return last_look_.has_value();
}

RunStatus Run::status() const {
    const WaitsFor wanted = last_look_ ? WaitsFor::kNothing : decision_.waits_for();
    const std::optional<MedianEstimate>& estimate = decision_.estimate();
    if (estimate) return {recording_.size(), estimate, estimate->median, wanted};
    return {recording_.size(), estimate, median(used_latencies(samples_so_far()).latency_ns),
            wanted};
}

void Run::fail() {
    outcome_.stop_reason = StopReason::kFailed;
    outcome_.failure = subject_.model->failure();
}

Samples Run::samples_so_far() const {
    Samples samples;
    samples.disturbed = recording_.disturbed;
    mark_conditions(outcome_.blocks, outcome_.calm_canary_ns, samples.disturbed);
    // Only a stretch of one sample tells whose time it was, and only one thread's waits add up.
    if (plan_.evidence_samples == 1 && !subject_.settings.has_worker_threads) {
        samples.waited_ns = recording_.waited_ns;
    }
    samples.latency_ns.reserve(recording_.size());
    for (const std::uint64_t ticks : recording_.ticks) {
        samples.latency_ns.push_back(ticks_to_ns(ticks, instruments_.scale()));
    }
    return samples;
}

Outcome Run::finish(std::uint64_t origin_ticks) {
    Samples samples = samples_so_far();
    const TickScale scale{instruments_.scale().ns_per_tick, 0.0};
    samples.start_ns.reserve(recording_.size());
    for (const std::uint64_t begin : recording_.begins) {
        samples.start_ns.push_back(ticks_to_ns(begin - origin_ticks, scale));
    }
    if (instruments_.has_ticks()) samples.ticks = std::move(recording_.ticks);
    if (plan_.reads_counters) {
        for (std::size_t c = 0; c < instruments_.counters()->size(); ++c) {
            std::vector<std::uint64_t> counts;
            counts.reserve(recording_.counts.size());
            for (const CounterValues& values : recording_.counts) counts.push_back(values[c]);
            samples.counts.push_back(std::move(counts));
        }
    }
    outcome_.samples = std::move(samples);
    return std::move(outcome_);
}

}  // namespace edgeprof
