#include "measure.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "affinity.h"
#include "disturbance.h"

namespace edgeprof {

namespace {

constexpr double kWarmupShare = 0.25;           // of max_secs, at most
constexpr std::size_t kWarmupWindow = 10;       // inferences looked at for steadiness
constexpr std::int64_t kBlock_ns = 50'000'000;  // one block of samples, then a look at the result
constexpr std::size_t kMaxBlockSamples = 10'000;
constexpr std::size_t kMinInterleavedSamples = 6;
constexpr std::size_t kMinRounds = 12;  // of interleaved models: ratios are taken round by round
constexpr std::size_t kDisturbedFactor = 3;  // samples needed where none is undisturbed
constexpr double kEvidenceShare = 0.01;      // of the time, at most, goes into reading evidence
constexpr double kCounterShare = 0.02;       // of the latency, at most, goes into reading counters

// ---- The timed region. Nothing else may stand between the two reads of the clock. ----
// The counters enclose it, so that reading them costs counts, which are known, and no time.
template <class SomeClock, bool kCounts>
std::size_t time_inferences(LoadedModel& model, std::size_t n, std::uint64_t* begins,
                            std::uint64_t* ticks, CounterGroup* counters,
                            CounterValues* counts) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
        CounterValues before, after;
        if constexpr (kCounts) counters->read(before);
        const std::uint64_t begin = SomeClock::begin();
        const bool is_done = model.invoke();
        const std::uint64_t end = SomeClock::end();
        if constexpr (kCounts) {
            counters->read(after);
            for (std::size_t c = 0; c < counters->size(); ++c) counts[i][c] = after[c] - before[c];
        }
        if (!is_done) return i;
        begins[i] = begin;
        ticks[i] = end - begin;
    }
    return n;
}
// --------------------------------------------------------------------------------------

// Times n inferences with the given clock; returns how many succeeded before one failed.
std::size_t time_inferences(ClockKind kind, LoadedModel& model, std::size_t n,
                            std::uint64_t* begins, std::uint64_t* ticks, CounterGroup* counters,
                            CounterValues* counts) noexcept {
    return with_clock(kind, [&](auto clock) {
        using SomeClock = decltype(clock);
        return counters != nullptr
                   ? time_inferences<SomeClock, true>(model, n, begins, ticks, counters, counts)
                   : time_inferences<SomeClock, false>(model, n, begins, ticks, nullptr, nullptr);
    });
}

double secs_since(std::int64_t start_ns) {
    return static_cast<double>(monotonic_raw_ns() - start_ns) / 1e9;
}

// One model's measurement under way.
class Run {
  public:
    Run(const Subject& subject, const Clock& clock, bool is_interleaved)
        : subject_(subject),
          settings_(subject.settings),
          clock_(clock),
          is_interleaved_(is_interleaved),
          evidence_(subject.settings.has_worker_threads),
          conditions_(subject.settings.cpus) {}

    // First inference and warm-up; false when one failed.
    bool prepare();
    bool measure_block();
    // Decides, and notes why, once `elapsed_secs` of `budget_secs` are over.
    bool should_stop(double elapsed_secs, double budget_secs);
    void fail() {
        outcome_.stop_reason = StopReason::kFailed;
        outcome_.failure = subject_.model->failure();
    }
    // With the clock's final rate.
    Outcome finish(const Clock& clock, std::uint64_t origin_ticks);

  private:
    bool time_one(std::int64_t& latency_ns);
    bool warm_up();
    void plan(double latency_ns);
    Samples samples_so_far() const;

    const Subject& subject_;
    const MeasureSettings& settings_;
    const Clock& clock_;
    const bool is_interleaved_;
    EvidenceReader evidence_;
    Conditions conditions_;
    Outcome outcome_{};

    std::size_t block_samples_ = 1;     // timed between two looks at the result
    std::size_t evidence_samples_ = 1;  // timed between two readings of evidence
    CounterGroup* counters_ = nullptr;
    std::vector<std::uint64_t> begins_;  // ticks; ns only at the end, with the final rate
    std::vector<std::uint64_t> ticks_;
    std::vector<std::uint16_t> disturbed_;
    std::vector<CounterValues> counts_;
    std::vector<std::int64_t> minor_faults_;  // per sample, of its stretch
    std::vector<std::int64_t> waited_ns_;     // likewise
    std::int64_t sampling_start_ns_ = 0;
    std::size_t next_look_ = 0;
    PlateauDetector plateau_;
};

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

bool Run::time_one(std::int64_t& latency_ns) {
    std::uint64_t begin = 0, ticks = 0;
    if (time_inferences(clock_.kind(), *subject_.model, 1, &begin, &ticks, nullptr, nullptr) == 0) {
        return false;
    }
    latency_ns = ticks_to_ns(ticks, clock_.scale());
    return true;
}

bool Run::prepare() {
    const ScopedAffinity affinity(settings_.cpus);
    if (!time_one(outcome_.first_inference_ns) || !warm_up()) return false;
    sampling_start_ns_ = monotonic_raw_ns();
    outcome_.blocks.push_back(conditions_.read(0));
    return true;
}

bool Run::warm_up() {
    const std::int64_t start_ns = monotonic_raw_ns();
    std::vector<double> latencies_ns;
    Warmup& warmup = outcome_.warmup;
    warmup.end = WarmupEnd::kTimeLimit;
    while (secs_since(start_ns) < kWarmupShare * settings_.max_secs) {
        std::int64_t latency_ns = 0;
        if (!time_one(latency_ns)) return false;
        latencies_ns.push_back(static_cast<double>(latency_ns));
        warmup.timed_ns += latency_ns;
        if (is_steady(latencies_ns, kWarmupWindow, settings_.ci_rel)) {
            warmup.end = WarmupEnd::kSteady;
            break;
        }
    }
    warmup.n = latencies_ns.size();
    warmup.wall_ns = monotonic_raw_ns() - start_ns;
    const std::size_t n_recent = std::min(latencies_ns.size(), kWarmupWindow);
    plan(n_recent == 0 ? static_cast<double>(outcome_.first_inference_ns)
                       : median({latencies_ns.end() - static_cast<std::ptrdiff_t>(n_recent),
                                 latencies_ns.end()}));
    return true;
}

// From the latency: whether counters are cheap enough, how long blocks and stretches are.
void Run::plan(double latency_ns) {
    if (subject_.counters != nullptr && subject_.counters->size() > 0 &&
        2.0 * subject_.counters->read_cost_ns() <= kCounterShare * latency_ns) {
        counters_ = subject_.counters;
    }
    const double per_sample_ns = latency_ns + clock_.read_cost_ns();
    const auto fit = [](double n) {
        return static_cast<std::size_t>(std::min(std::max(n, 1.0), 1.0 * kMaxBlockSamples));
    };
    block_samples_ = fit(static_cast<double>(kBlock_ns) / per_sample_ns);
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

// Times one block in stretches; the samples of a stretch share its evidence.
bool Run::measure_block() {
    const ScopedAffinity affinity(settings_.cpus);
    const std::size_t first = ticks_.size();
    const std::size_t n =
        std::min(block_samples_, std::max<std::size_t>(settings_.max_samples, first + 1) - first);
    begins_.resize(first + n);
    ticks_.resize(first + n);
    disturbed_.resize(first + n);
    minor_faults_.resize(first + n);
    waited_ns_.resize(first + n);
    if (counters_ != nullptr) counts_.resize(first + n);

    const std::int64_t wall_start_ns = monotonic_raw_ns();
    Evidence before = evidence_.read();
    std::size_t done = first;
    bool is_done = true;
    while (is_done && done < first + n) {
        const bool is_after_switch = is_interleaved_ && done == first;
        const std::size_t stretch =
            is_after_switch ? 1 : std::min(evidence_samples_, first + n - done);
        const std::size_t timed = time_inferences(
            clock_.kind(), *subject_.model, stretch, begins_.data() + done, ticks_.data() + done,
            counters_, counters_ != nullptr ? counts_.data() + done : nullptr);
        const Evidence after = evidence_.read();
        is_done = timed == stretch;
        std::uint64_t stretch_ticks = 0;
        for (std::size_t k = done; k < done + timed; ++k) stretch_ticks += ticks_[k];
        const auto mask = static_cast<std::uint16_t>(
            disturbance_between(before, after, ticks_to_ns(stretch_ticks, clock_.scale())) |
            (is_after_switch ? kAfterSwitch : 0));
        for (std::size_t i = done; i < done + timed; ++i) {
            disturbed_[i] = mask;
            minor_faults_[i] = after.minor_faults - before.minor_faults;
            waited_ns_[i] = after.waited_ns - before.waited_ns;
        }
        before = after;
        done += timed;
    }
    outcome_.sampling_wall_ns += monotonic_raw_ns() - wall_start_ns;
    begins_.resize(done);
    ticks_.resize(done);
    disturbed_.resize(done);
    minor_faults_.resize(done);
    waited_ns_.resize(done);
    if (counters_ != nullptr) counts_.resize(done);
    outcome_.blocks.push_back(conditions_.read(done));
    return is_done;
}

bool Run::should_stop(double elapsed_secs, double budget_secs) {
    const std::size_t n = ticks_.size();
    const bool is_over = elapsed_secs >= budget_secs;
    // Looking costs a sort: look when a tenth more samples have come, so that it stays cheap.
    if (!is_over && n < settings_.max_samples && n < next_look_) return false;
    next_look_ = n + n / 10 + 1;

    const Summary summary = summarize(samples_so_far());
    const bool has_interval = summary.ci_level >= kConfidence;
    // Where waiting had to be taken off, be slower to believe: there may come undisturbed ones.
    const std::size_t n_needed = summary.basis == Basis::kUndisturbed
                                     ? settings_.min_samples
                                     : kDisturbedFactor * settings_.min_samples;
    const bool is_enough = secs_since(sampling_start_ns_) >= settings_.min_secs &&
                           summary.basis != Basis::kAll && summary.n_used >= n_needed &&
                           (!is_interleaved_ || outcome_.blocks.size() > kMinRounds);
    if (is_enough && has_interval && !(summary.ci_half_width_rel() > settings_.ci_rel)) {
        outcome_.stop_reason = StopReason::kInterval;
    } else if (n >= settings_.max_samples) {
        outcome_.stop_reason = StopReason::kMaxSamples;
    } else if (is_over) {
        outcome_.stop_reason = StopReason::kMaxSecs;
    } else if (is_enough && has_interval && plateau_.add(n, summary.ci_half_width_rel())) {
        outcome_.stop_reason = StopReason::kPlateau;
    } else {
        return false;
    }
    return true;
}

Samples Run::samples_so_far() const {
    Samples samples;
    samples.disturbed = disturbed_;
    mark_page_faults(minor_faults_, samples.disturbed);
    mark_conditions(outcome_.blocks, samples.disturbed);
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
    if (counters_ != nullptr) {
        const std::vector<CounterFacts> facts = counters_->facts();
        for (std::size_t c = 0; c < facts.size(); ++c) {
            std::vector<std::uint64_t> counts;
            counts.reserve(counts_.size());
            for (const CounterValues& values : counts_) {
                counts.push_back(net_count(values[c], facts[c].empty, facts[c].running_share));
            }
            samples.counts.push_back(std::move(counts));
        }
    }
    outcome_.samples = std::move(samples);
    return std::move(outcome_);
}

}  // namespace

const char* name_of(StopReason reason) noexcept {
    switch (reason) {
        case StopReason::kInterval:
            return "interval";
        case StopReason::kMaxSecs:
            return "max_secs";
        case StopReason::kMaxSamples:
            return "max_samples";
        case StopReason::kPlateau:
            return "plateau";
        case StopReason::kFailed:
            return "failed";
    }
    return "unknown";
}

const char* name_of(WarmupEnd end) noexcept {
    return end == WarmupEnd::kSteady ? "steady" : "time_limit";
}

std::vector<Outcome> measure(const std::vector<Subject>& subjects, std::uint64_t seed,
                             Clock& clock) {
    const std::int64_t start_ns = monotonic_raw_ns();
    const std::uint64_t origin_ticks = with_clock(clock.kind(), [](auto c) { return c.begin(); });
    double budget_secs = 0.0;
    std::vector<std::unique_ptr<Run>> runs;
    for (const Subject& subject : subjects) {
        budget_secs += subject.settings.max_secs;
        runs.push_back(std::make_unique<Run>(subject, clock, subjects.size() > 1));
    }
    bool is_failed = false;
    const auto note = [&is_failed](Run& run, bool is_done) {
        if (is_done) return;
        run.fail();
        is_failed = true;
    };
    for (const auto& run : runs) {
        if (!is_failed) note(*run, run->prepare());
    }
    std::mt19937_64 random(seed);
    std::vector<std::size_t> order(runs.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    bool should_stop = is_failed;
    while (!should_stop) {
        // Fisher and Yates; std::shuffle may differ between libraries.
        for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
        for (const std::size_t i : order) {
            if (!is_failed) note(*runs[i], runs[i]->measure_block());
        }
        should_stop = true;
        const double elapsed_secs = secs_since(start_ns);
        for (const auto& run : runs) {
            if (!is_failed && !run->should_stop(elapsed_secs, budget_secs)) should_stop = false;
        }
    }
    clock.refine();
    std::vector<Outcome> outcomes;
    for (const auto& run : runs) outcomes.push_back(run->finish(clock, origin_ticks));
    return outcomes;
}

const char* name_of(Basis basis) noexcept {
    switch (basis) {
        case Basis::kUndisturbed:
            return "undisturbed";
        case Basis::kLessWaiting:
            return "less_waiting";
        case Basis::kAll:
            return "all";
    }
    return "unknown";
}

namespace {

// The latencies that a summary is over, in order of time.
std::vector<double> chosen(const Samples& samples, Basis basis) {
    std::vector<double> latencies_ns;
    for (std::size_t i = 0; i < samples.latency_ns.size(); ++i) {
        const unsigned mask = samples.disturbed[i];
        const double latency_ns = static_cast<double>(samples.latency_ns[i]);
        if (basis == Basis::kAll || mask == 0) {
            latencies_ns.push_back(latency_ns);
        } else if (basis == Basis::kLessWaiting && (mask & ~(kPreempted | kSlowMachine)) == 0) {
            // The kernel's account may put a wait into the sample after it; what would be left of
            // that one is no latency.
            const double left_ns = latency_ns - static_cast<double>(samples.waited_ns[i]);
            if (left_ns > 0.0) latencies_ns.push_back(left_ns);
        }
    }
    return latencies_ns;
}

}  // namespace

Summary summarize(const Samples& samples) {
    constexpr std::size_t kFewest = 6;  // for an interval of 95 %
    constexpr std::size_t kPlenty = 30;
    Summary summary{};
    summary.n_samples = samples.latency_ns.size();
    std::vector<double> in_order = chosen(samples, Basis::kUndisturbed);
    summary.n_undisturbed = in_order.size();
    // A few undisturbed ones among many are less sure than the many, put right.
    const bool is_rare = in_order.size() < kPlenty && in_order.size() * 4 < summary.n_samples;
    if ((in_order.size() < kFewest || is_rare) && !samples.waited_ns.empty()) {
        in_order = chosen(samples, Basis::kLessWaiting);
        summary.basis = Basis::kLessWaiting;
    }
    if (in_order.size() < std::min(kFewest, summary.n_samples)) {
        in_order = chosen(samples, Basis::kAll);
        summary.basis = Basis::kAll;
    }
    summary.n_used = in_order.size();
    summary.serial_inflation = serial_inflation(in_order);
    double sum = 0.0;
    for (const double ns : in_order) sum += ns;
    std::vector<double>& sorted = in_order;
    std::sort(sorted.begin(), sorted.end());
    summary.latency_median_ns = quantile(sorted, 0.5);
    // Of a wait that is accounted to the wrong sample the median takes no notice, the least would.
    summary.latency_min_ns = summary.basis == Basis::kLessWaiting
                                 ? static_cast<double>(*std::min_element(samples.latency_ns.begin(),
                                                                         samples.latency_ns.end()))
                                 : sorted.front();
    summary.latency_mean_ns = sum / static_cast<double>(sorted.size());
    summary.latency_p95_ns = quantile(sorted, 0.95);
    const auto interval = median_interval(sorted, summary.serial_inflation);
    summary.ci = interval.value_or(Interval{sorted.front(), sorted.back()});
    summary.ci_level = interval ? kConfidence : range_confidence(sorted.size());
    return summary;
}

}  // namespace edgeprof
