#include "timing/run.h"

#include <algorithm>
#include <cmath>

#include "machine/affinity.h"
#include "machine/energy_sampler.h"
#include "timing/canary.h"
#include "timing/timed_region.h"

namespace edgeprof {

namespace {

constexpr double kWarmupShare = 0.25;      // of max_secs, at most
constexpr double kMinWarmup_secs = 0.1;    // governors of the clock take tens of milliseconds
constexpr std::size_t kWarmupWindow = 10;  // inferences looked at for steadiness
// One block of samples, then a reading of the conditions: short, since a neighbour comes and goes
// within tens of milliseconds; but of the time at most a small share goes into the reading.
constexpr double kShortestBlock_ns = 1e7;
constexpr double kLongestBlock_ns = 5e7;
constexpr double kConditionsShare = 0.01;
// So long a measurement goes on in the hope of a calmer machine, when it is known to have been one.
constexpr double kCalmPatience_secs = 4.0;
constexpr std::size_t kMaxBlockSamples = 1'000'000;
constexpr std::size_t kMinInterleavedSamples = 6;
// To fill the caches anew takes milliseconds: nothing to an inference as long as this.
constexpr double kNoSwitchCost_ns = 5e8;
constexpr std::size_t kDisturbedFactor = 3;  // samples needed where none is undisturbed
constexpr double kEvidenceShare = 0.01;      // of the time, at most, goes into reading evidence
constexpr double kCounterShare = 0.02;       // of the latency, at most, goes into reading counters
constexpr double kLookShare = 0.02;          // of the time, at most, goes into looks at the result

// Marks samples of a stretch that faulted more often than is usual for this model.
void mark_page_faults(const std::vector<std::int64_t>& faults,
                      std::vector<std::uint16_t>& disturbed) {
    if (faults.empty()) return;
    std::vector<std::int64_t> sorted = faults;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    for (std::size_t i = 0; i < faults.size(); ++i) {
        if (faults[i] > *middle)
            disturbed[i] = static_cast<std::uint16_t>(disturbed[i] | kPageFault);
    }
}

}  // namespace

bool Run::time_one(std::int64_t& latency_ns) {
    std::uint64_t begin = 0, ticks = 0;
    if (time_inferences(clock_, *subject_.model, 1, &begin, &ticks, nullptr, nullptr) == 0) {
        return false;
    }
    latency_ns = ticks_to_ns(ticks, clock_.scale());
    return true;
}

bool Run::prepare(const FirstInferenceListener& on_first_inference) {
    const ScopedAffinity affinity(settings_.cpus);
    const std::int64_t start_ns = monotonic_raw_ns();
    if (!time_one(outcome_.first_inference_ns)) return false;
    if (on_first_inference) on_first_inference(outcome_.first_inference_ns);
    expected_ns_ = static_cast<double>(outcome_.first_inference_ns);
    if (!warm_up(start_ns)) return false;
    plan();
    // Models in turns stay together; a runtime's threads are placed by the scheduler.
    const Evidence here = evidence_.read();
    if (settings_.cpus.empty() && !is_interleaved_ && !settings_.has_worker_threads) {
        core_ = CoreChoice(cores_like(here.cpu, allowed_cpus(), subject_.root));
    }
    // Touch the memory of the first block now: page faults between samples would count as ours.
    resize(std::min(block_samples_, settings_.max_samples));
    resize(0);
    outcome_.blocks.push_back(conditions_.read(0));
    return true;
}

bool Run::warm_up(std::int64_t start_ns) {
    const std::int64_t warmup_start_ns = monotonic_raw_ns();
    const double most_secs = kWarmupShare * settings_.max_secs;
    const double least_secs = std::min(kMinWarmup_secs, most_secs / 2.0);
    std::vector<double> recent_ns;
    Warmup& warmup = outcome_.warmup;
    warmup.end = WarmupEnd::kTimeLimit;
    // Of a slow model the time is better spent on a sample.
    while (secs_since(warmup_start_ns) < most_secs &&
           secs_since(start_ns) + 2.0 * expected_ns_ / 1e9 <= settings_.max_secs) {
        std::int64_t latency_ns = 0;
        if (!time_one(latency_ns)) return false;
        ++warmup.n;
        warmup.timed_ns += latency_ns;
        expected_ns_ = static_cast<double>(latency_ns);
        if (recent_ns.size() == kWarmupWindow) recent_ns.erase(recent_ns.begin());
        recent_ns.push_back(expected_ns_);
        if (secs_since(warmup_start_ns) >= least_secs &&
            is_steady(recent_ns, kWarmupWindow, settings_.ci_rel)) {
            warmup.end = WarmupEnd::kSteady;
            break;
        }
    }
    warmup.wall_ns = monotonic_raw_ns() - warmup_start_ns;
    if (!recent_ns.empty()) expected_ns_ = median(recent_ns);
    return true;
}

// From the latency: whether counters are cheap enough, how long blocks and stretches are.
void Run::plan() {
    if (subject_.counters != nullptr && subject_.counters->size() > 0 &&
        2.0 * subject_.counters->read_cost_ns() <= kCounterShare * expected_ns_) {
        counters_ = subject_.counters;
    }
    const double per_sample_ns = expected_ns_ + clock_.read_cost_ns();
    const auto fit = [](double n) {
        return static_cast<std::size_t>(std::min(std::max(n, 1.0), 1.0 * kMaxBlockSamples));
    };
    block_samples_ = fit(block_ns() / per_sample_ns);
    // The first sample of an interleaved block is marked; there must be some that are not.
    if (is_interleaved_) {
        block_samples_ = std::max(std::min(block_samples_, settings_.max_samples / kMinRounds),
                                  kMinInterleavedSamples);
    }
    const std::int64_t before_ns = monotonic_raw_ns();
    constexpr int kReads = 16;
    for (int i = 0; i < kReads; ++i) evidence_.read();
    const double evidence_ns = static_cast<double>(monotonic_raw_ns() - before_ns) / kReads;
    evidence_samples_ =
        std::min(fit(evidence_ns / (kEvidenceShare * per_sample_ns)), block_samples_);
}

// Interleaved models pay for each change, and rails of power are read at their own pace.
double Run::block_ns() {
    const bool has_rails = subject_.energy != nullptr && !subject_.energy->rails().empty();
    if (is_interleaved_ || has_rails) return kLongestBlock_ns;
    double reading_ns = kLongestBlock_ns;
    constexpr int kReads = 4;  // the first finds the files' paths cold
    for (int i = 0; i < kReads; ++i) {
        const std::int64_t before_ns = monotonic_raw_ns();
        conditions_.read(0);
        reading_ns = std::min(reading_ns, static_cast<double>(monotonic_raw_ns() - before_ns));
    }
    return std::min(std::max(reading_ns / kConditionsShare, kShortestBlock_ns), kLongestBlock_ns);
}

void Run::shorten_blocks(double factor) {
    const std::size_t least = expected_ns_ < kNoSwitchCost_ns ? 2 : 1;
    block_samples_ =
        std::max(static_cast<std::size_t>(factor * static_cast<double>(block_samples_)), least);
    evidence_samples_ = std::min(evidence_samples_, block_samples_);
}

void Run::resize(std::size_t n) {
    begins_.resize(n);
    ticks_.resize(n);
    disturbed_.resize(n);
    minor_faults_.resize(n);
    waited_ns_.resize(n);
    if (counters_ != nullptr) counts_.resize(n);
}

// Times in stretches; the samples of a stretch share its evidence. False when an inference failed.
bool Run::time_stretches(std::size_t first, std::size_t n, std::int64_t deadline_ns,
                         std::size_t& done) {
    const bool has_switched = is_interleaved_ && block_samples_ > 1;
    Evidence before = evidence_.read();
    for (done = first; done < first + n;) {
        const bool is_after_switch = has_switched && done == first;
        const std::size_t stretch =
            is_after_switch ? 1 : std::min(evidence_samples_, first + n - done);
        const double expected_end_ns =
            static_cast<double>(monotonic_raw_ns()) + expected_ns_ * static_cast<double>(stretch);
        is_out_of_time_ = expected_end_ns > static_cast<double>(deadline_ns);
        if (is_out_of_time_ && done > 0) return true;
        const std::size_t timed = time_inferences(
            clock_, *subject_.model, stretch, begins_.data() + done, ticks_.data() + done,
            counters_, counters_ != nullptr ? counts_.data() + done : nullptr);
        const Evidence after = evidence_.read();
        std::uint64_t stretch_ticks = 0;
        for (std::size_t k = done; k < done + timed; ++k) stretch_ticks += ticks_[k];
        const std::int64_t stretch_ns = ticks_to_ns(stretch_ticks, clock_.scale());
        const auto mask = static_cast<std::uint16_t>(
            disturbance_between(before, after, stretch_ns) | (is_after_switch ? kAfterSwitch : 0));
        for (std::size_t i = done; i < done + timed; ++i) {
            disturbed_[i] = mask;
            minor_faults_[i] = after.minor_faults - before.minor_faults;
            waited_ns_[i] = after.waited_ns - before.waited_ns;
        }
        done += timed;
        if (timed < stretch) return false;
        expected_ns_ =
            std::min(expected_ns_, static_cast<double>(stretch_ns) / static_cast<double>(stretch));
        before = after;
    }
    return true;
}

// When the core has become slow, and another is not: to that one, where one inference fills the
// caches.
bool Run::leave_slow_core() {
    const double calm_ns =
        outcome_.is_slow_throughout ? settings_.calm_canary_ns : outcome_.calm_canary_ns;
    const auto is_fast = [calm_ns](std::int64_t canary_ns) {
        return is_calm(static_cast<double>(canary_ns), calm_ns);
    };
    if (!core_.is_due(!is_fast(outcome_.blocks.back().canary_ns))) return true;
    for (const int cpu : core_.others(evidence_.read().cpu)) {
        const ScopedAffinity affinity({cpu});
        time_canary();  // its own data must come first
        if (!is_fast(time_canary())) continue;
        core_.move_to(cpu);
        conditions_.forget_canary();
        ++outcome_.n_core_moves;
        std::int64_t latency_ns = 0;
        if (!time_one(latency_ns)) return false;
        ++outcome_.warmup.n;
        outcome_.warmup.timed_ns += latency_ns;
        outcome_.warmup.wall_ns += latency_ns;
        break;
    }
    return true;
}

bool Run::measure_block(std::int64_t deadline_ns) {
    const ScopedAffinity affinity(core_.cpus().empty() ? settings_.cpus : core_.cpus());
    const std::size_t first = ticks_.size();
    const std::size_t n =
        std::min(block_samples_, std::max<std::size_t>(settings_.max_samples, first + 1) - first);
    conditions_.start_block();
    const std::int64_t start_ns = monotonic_raw_ns();
    if (first == 0) sampling_start_ns_ = start_ns;
    resize(first + n);
    std::size_t done = first;
    if (counters_ != nullptr) counters_->switch_on();
    const bool is_done = time_stretches(first, n, deadline_ns, done);
    if (counters_ != nullptr) counters_->switch_off();
    resize(done);
    const std::int64_t end_ns = monotonic_raw_ns();
    outcome_.sampling_wall_ns += end_ns - start_ns;
    outcome_.sampling_span_ns = end_ns - sampling_start_ns_;
    outcome_.blocks.push_back(conditions_.read(done));
    judge_calm();
    return is_done && (is_out_of_time_ || leave_slow_core());
}

bool Run::should_stop(bool is_over) {
    const std::size_t n = ticks_.size();
    const bool is_last = is_over || n >= settings_.max_samples;
    if (!is_last) {
        // No look before it could end the run, nor so often that looking costs more than it saves:
        // when a tenth more samples have come, and a small share of the time at most.
        const bool is_early = secs_since(sampling_start_ns_) < settings_.min_secs ||
                              (is_interleaved_ && outcome_.blocks.size() <= kMinRounds);
        if (is_early || n < next_look_samples_ || monotonic_raw_ns() < next_look_ns_) {
            return is_content_;
        }
    }
    const std::int64_t start_ns = monotonic_raw_ns();
    is_content_ = look(n, is_over);
    const std::int64_t end_ns = monotonic_raw_ns();
    next_look_samples_ = n + n / 10 + 1;
    next_look_ns_ =
        end_ns + static_cast<std::int64_t>(static_cast<double>(end_ns - start_ns) / kLookShare);
    return is_content_;
}

bool Run::look(std::size_t n, bool is_over) {
    const UsedLatencies used = used_latencies(samples_so_far());
    const MedianEstimate estimate = estimate_median(used.latency_ns);
    const bool has_interval = estimate.ci_level >= kConfidence;
    // Where waiting had to be taken off, be slower to believe: there may come undisturbed ones.
    const std::size_t n_needed = used.basis == Basis::kUndisturbed
                                     ? settings_.min_samples
                                     : kDisturbedFactor * settings_.min_samples;
    const double least_secs = outcome_.is_slow_throughout
                                  ? std::max(settings_.min_secs, kCalmPatience_secs)
                                  : settings_.min_secs;
    // With a few calm samples there will be more.
    const bool is_slow = used.basis == Basis::kSlowMachine && !outcome_.is_slow_throughout;
    const bool is_enough = secs_since(sampling_start_ns_) >= least_secs && !is_slow &&
                           used.basis != Basis::kAll && estimate.n >= n_needed &&
                           (!is_interleaved_ || outcome_.blocks.size() > kMinRounds);
    if (is_enough && has_interval && rule_.add(estimate)) {
        outcome_.stop_reason = StopReason::kInterval;
    } else if (n >= settings_.max_samples) {
        outcome_.stop_reason = StopReason::kMaxSamples;
    } else if (is_over) {
        outcome_.stop_reason = StopReason::kMaxSecs;
    } else if (is_enough && has_interval && plateau_.add(n, estimate.half_width_rel())) {
        outcome_.stop_reason = StopReason::kPlateau;
    } else {
        return false;
    }
    return true;
}

// Against the calm that the machine is known for, if any of it was seen; else against the calmest
// of this measurement.
void Run::judge_calm() {
    const double seen_ns = calm_canary_ns(outcome_.blocks);
    const double known_ns = settings_.calm_canary_ns;
    outcome_.is_slow_throughout = known_ns > 0.0 && !is_calm(seen_ns, known_ns);
    outcome_.calm_canary_ns =
        known_ns > 0.0 && !outcome_.is_slow_throughout ? std::min(seen_ns, known_ns) : seen_ns;
}

Samples Run::samples_so_far() const {
    Samples samples;
    samples.disturbed = disturbed_;
    mark_page_faults(minor_faults_, samples.disturbed);
    mark_conditions(outcome_.blocks, outcome_.calm_canary_ns, samples.disturbed);
    // Only a stretch of one sample tells whose time it was, and only one thread's waits add up.
    if (evidence_samples_ == 1 && !settings_.has_worker_threads) samples.waited_ns = waited_ns_;
    samples.latency_ns.reserve(ticks_.size());
    for (const std::uint64_t ticks : ticks_) {
        samples.latency_ns.push_back(ticks_to_ns(ticks, clock_.scale()));
    }
    return samples;
}

Outcome Run::finish(const Clock& clock, std::uint64_t origin_ticks) {
    Samples samples = samples_so_far();
    const TickScale scale{clock.scale().ns_per_tick, 0.0};
    samples.start_ns.reserve(begins_.size());
    for (const std::uint64_t begin : begins_) {
        samples.start_ns.push_back(ticks_to_ns(begin - origin_ticks, scale));
    }
    if (clock.kind() != ClockKind::kMonotonicRaw) samples.ticks = std::move(ticks_);
    if (counters_ != nullptr) {
        for (std::size_t c = 0; c < counters_->size(); ++c) {
            std::vector<std::uint64_t> counts;
            counts.reserve(counts_.size());
            for (const CounterValues& values : counts_) counts.push_back(values[c]);
            samples.counts.push_back(std::move(counts));
        }
    }
    outcome_.samples = std::move(samples);
    return std::move(outcome_);
}

}  // namespace edgeprof
