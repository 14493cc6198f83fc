#include "timing/campaign.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "machine/affinity.h"
#include "timing/statistics.h"
#include "timing/visit_plan.h"

namespace edgeprof {

namespace {

constexpr double kLookShare = 0.02;  // of the time, at most, goes into looks at the estimate
// From here on each inference has evidence of its own.
constexpr double kOwnEvidence_ns = 1e5;
// How long a visit may take before it is taken for a hang.
constexpr double kGrace_secs = 5.0;
constexpr double kGraceFactor = 10.0;

// Runs n inferences that nobody keeps; false when one failed.
bool run_untimed(const CampaignSubject& subject, std::size_t n) {
    std::uint64_t begin = 0, ticks = 0;
    for (std::size_t i = 0; i < n; ++i) {
        if (subject.instruments->time(*subject.model, 1, &begin, &ticks, nullptr) == 0)
            return false;
    }
    return true;
}

// One process' rounds under way.
class Rounds {
  public:
    Rounds(const std::vector<CampaignSubject>& subjects, std::vector<double> latency_ns,
           const RoundsSettings& settings, RatioEstimate& estimate,
           const CampaignListener& listener)
        : subjects_(subjects),
          settings_(settings),
          estimate_(estimate),
          listener_(listener),
          time_(*subjects.front().instruments),
          plan_(subjects.size(), settings.target, settings.seed),
          needs_(subjects.size(), WarmNeed::of_item()) {
        for (std::size_t i = 0; i < subjects.size(); ++i) {
            states_.push_back({latency_ns[i] > 0.0, subjects[i].is_reference, latency_ns[i], 1,
                               subjects[i].is_reference ? 0 : subjects[i].n_needed,
                               std::numeric_limits<double>::infinity()});
        }
    }

    RoundsEnd run() {
        BlockConditions before = time_.read_conditions(0);
        for (std::size_t number = 0;; ++number) {
            const std::vector<Visit> visits =
                plan_.next_round(states_, settings_.budget_secs - spent_secs_);
            if (visits.empty()) break;
            Round round{number, 0.0, {}};
            for (const Visit& visit : visits) run_visit(visit, round);
            round.spent_secs = spent_secs_;
            mark(before, round);
            add_to_estimate(round);
            listener_.on_round(round);
            time_.refine_clock();
        }
        if (!has_items()) return RoundsEnd::kNothingLeft;
        return plan_.is_content() ? RoundsEnd::kInterval : RoundsEnd::kBudget;
    }

  private:
    bool has_items() const {
        return std::any_of(states_.begin(), states_.end(), [](const ItemState& state) {
            return state.is_alive && !state.is_reference;
        });
    }

    void run_visit(const Visit& visit, Round& round) {
        const CampaignSubject& subject = subjects_[visit.item];
        ItemState& state = states_[visit.item];
        const double expected_secs =
            static_cast<double>(visit.n_warm + visit.n_timed) * state.latency_ns / 1e9;
        listener_.on_visit(visit.item, kGrace_secs + kGraceFactor * expected_secs);
        const ScopedAffinity affinity(subject.settings.cpus);
        const std::int64_t start_ns = time_.now_ns();
        VisitSamples samples{visit.item, {}, {}, {}, {}};
        const bool is_done = run_untimed(subject, visit.n_warm) && time(subject, visit, samples);
        spent_secs_ += static_cast<double>(time_.now_ns() - start_ns) / 1e9;
        if (!is_done) {
            state.is_alive = false;
            listener_.on_failure(visit.item, subject.model->failure());
            return;
        }
        needs_[visit.item].add(samples.latency_ns);
        if (!subject.is_reference) need_of_all_.add(samples.latency_ns);
        state.n_warm = std::max(needs_[visit.item].n_warm(), need_of_all_.n_warm());
        state.n_lacking -= std::min(state.n_lacking, samples.latency_ns.size());
        state.latency_ns =
            std::max(1.0, median({samples.latency_ns.begin(), samples.latency_ns.end()}));
        round.visits.push_back(std::move(samples));
    }

    // False when an inference failed.
    bool time(const CampaignSubject& subject, const Visit& visit, VisitSamples& samples) {
        Instruments& instruments = *subject.instruments;
        std::vector<std::uint64_t> begins(visit.n_timed), ticks(visit.n_timed);
        const std::size_t stretch =
            states_[visit.item].latency_ns >= kOwnEvidence_ns ? 1 : visit.n_timed;
        Evidence before = instruments.read_evidence();
        for (std::size_t done = 0; done < visit.n_timed; done += stretch) {
            if (instruments.time(*subject.model, stretch, begins.data() + done, ticks.data() + done,
                                 nullptr) < stretch) {
                return false;
            }
            const Evidence after = instruments.read_evidence();
            std::uint64_t sum = 0;
            for (std::size_t i = done; i < done + stretch; ++i) sum += ticks[i];
            const std::uint16_t mask =
                disturbance_between(before, after, ticks_to_ns(sum, instruments.scale()));
            samples.disturbed.insert(samples.disturbed.end(), stretch, mask);
            // Of several inferences, the slowest is the one that others interrupted.
            samples.waited_ns.resize(done + stretch);
            const auto first = ticks.begin() + static_cast<std::ptrdiff_t>(done);
            const auto slowest =
                std::max_element(first, first + static_cast<std::ptrdiff_t>(stretch));
            samples.waited_ns[static_cast<std::size_t>(slowest - ticks.begin())] =
                subject.settings.has_worker_threads ? 0 : waited_between(before, after);
            before = after;
        }
        for (std::size_t i = 0; i < visit.n_timed; ++i) {
            samples.latency_ns.push_back(ticks_to_ns(ticks[i], instruments.scale()));
            samples.begin_ns.push_back(instruments.raw_ns_at(begins[i]));
        }
        return true;
    }

    // What the machine says of the round holds for all of its samples.
    void mark(BlockConditions& before, Round& round) {
        BlockConditions after = time_.read_conditions(1);
        before.end_sample = 0;
        std::vector<std::uint16_t> mask(1, 0);
        mark_conditions({before, after}, std::numeric_limits<double>::infinity(), mask);
        for (VisitSamples& visit : round.visits) {
            for (std::uint16_t& bits : visit.disturbed) {
                bits = static_cast<std::uint16_t>(bits | mask.front());
            }
        }
        before = after;
    }

    void add_to_estimate(const Round& round) {
        std::vector<double> logs(subjects_.size(), std::nan(""));
        for (const VisitSamples& visit : round.visits) {
            logs[visit.item] =
                std::log(std::max(1.0, median({visit.latency_ns.begin(), visit.latency_ns.end()})));
        }
        estimate_.add_round(std::move(logs));
        const std::int64_t start_ns = time_.now_ns();
        if (start_ns < next_look_ns_) return;
        const std::vector<double> half_widths = estimate_.half_widths_here();
        for (std::size_t i = 0; i < states_.size(); ++i) states_[i].half_width = half_widths[i];
        const std::int64_t end_ns = time_.now_ns();
        next_look_ns_ =
            end_ns + static_cast<std::int64_t>(static_cast<double>(end_ns - start_ns) / kLookShare);
    }

    const std::vector<CampaignSubject>& subjects_;
    const RoundsSettings& settings_;
    RatioEstimate& estimate_;
    const CampaignListener& listener_;
    Instruments& time_;
    VisitPlan plan_;
    std::vector<ItemState> states_;
    std::vector<WarmNeed> needs_;
    WarmNeed need_of_all_ = WarmNeed::of_all();
    double spent_secs_ = 0.0;
    std::int64_t next_look_ns_ = 0;
};

}  // namespace

const char* name_of(RoundsEnd end) noexcept {
    switch (end) {
        case RoundsEnd::kInterval:
            return "interval";
        case RoundsEnd::kBudget:
            return "budget";
        case RoundsEnd::kNothingLeft:
            return "nothing_left";
    }
    return "unknown";
}

RoundsEnd run_rounds(const std::vector<CampaignSubject>& subjects, std::vector<double> latency_ns,
                     const RoundsSettings& settings, RatioEstimate& estimate,
                     const CampaignListener& listener) {
    return Rounds(subjects, std::move(latency_ns), settings, estimate, listener).run();
}

}  // namespace edgeprof
