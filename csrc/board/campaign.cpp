#include "board/campaign.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/text_files.h"
#include "board/batch.h"
#include "board/campaign_watch.h"
#include "record/record.h"
#include "runtimes/backend.h"
#include "timing/clock.h"

namespace edgeprof {

namespace {

// What can be fixed by running again is, so many times per group beyond the planned processes.
constexpr int kMostRestarts = 20;
constexpr int kAllGroups = -1;
constexpr double kMostWarmup_secs = 0.1;  // of an item: each of its visits begins with more

CampaignItem reference_item(const char* model) {
    json::Writer line;
    line.begin_object()
        .member("job_id", model)
        .member("model", model)
        .member("runtime", "reference")
        .member("counters", "off")
        .end_object();
    return {model, parse_job(line.text()), true};
}

class Campaign {
  public:
    Campaign(const std::string& folder, const CampaignSettings& settings, int reader)
        : settings_(settings),
          reader_(reader),
          rounds_path_(folder + "/rounds.jsonl"),
          records_(folder + "/records.jsonl") {
        if (settings_.has_references) {
            for (const char* model : {kArithmeticReference, kMemoryReference}) {
                items_.push_back(reference_item(model));
                adopt(items_.back());
            }
        }
        std::set<std::string> seen;
        for_each_line(folder + "/jobs.jsonl", [&](const std::string& line) {
            const std::string job_id = json::string_member(line, "job_id");
            if (seen.insert(job_id).second) add_item(job_id, line);
        });
    }

    void run() {
        const std::size_t n_known = read_state(rounds_path_).groups.size();
        int group = 0;
        for (; group < static_cast<int>(n_known); ++group) run_group(group);
        for (std::vector<CampaignItem> rest = ungrouped(); !rest.empty();) {
            run_group(group++);
            const std::size_t n_before = rest.size();
            rest = ungrouped();
            if (rest.size() == n_before) give_up(rest);
        }
        report_links();
        report_references();
    }

  private:
    // No process came as far as to tell which item is at fault.
    void give_up(std::vector<CampaignItem>& items) {
        for (const CampaignItem& item : items) {
            lose(item.job_id,
                 failure_record(item.job_id, item.job.model_paths(),
                                Error(ErrorKind::kHarnessCrashed,
                                      item.job.model_paths() +
                                          ": the processes of its group died before it ran"),
                                {}));
        }
        items.clear();
    }

    void adopt(CampaignItem& item) {
        if (item.job.clock != "auto")
            Clock::named(item.job.clock);  // throws where it is not usable
        Subjob& subjob = item.job.subjobs.front();
        subjob.counters = CounterMode::kOff;
        subjob.per_op_runs = 0;
        subjob.measure.ci_rel = settings_.ci_rel;
        subjob.measure.max_load_secs = settings_.max_load_secs;
        subjob.measure.max_warmup_secs = kMostWarmup_secs;
    }

    void add_item(const std::string& job_id, const std::string& line) {
        try {
            CampaignItem item{job_id, parse_job(line), false};
            if (item.job.is_group) {
                throw Error(ErrorKind::kInvalidJob, "job: field 'interleave': not in a campaign");
            }
            adopt(item);
            items_.push_back(std::move(item));
            ++n_items_;
        } catch (const Error& error) {
            if (records_.has(job_id)) return;
            records_.append(job_id, under_id(failure_record(job_id, "", error, {}), job_id));
        }
    }

    // Items without a record that are in no group, in the order of the jobs.
    std::vector<CampaignItem> ungrouped() const {
        std::set<std::string> grouped;
        for (const CampaignState::Group& group : read_state(rounds_path_).groups) {
            grouped.insert(group.items.begin(), group.items.end());
        }
        std::vector<CampaignItem> found;
        for (const CampaignItem& item : items_) {
            if (item.is_reference || records_.has(item.job_id)) continue;
            if (grouped.count(item.job_id) == 0) found.push_back(item);
        }
        return found;
    }

    // What may be in a new group. The links come after one item: with it the campaign goes on
    // however little memory there is.
    std::vector<CampaignItem> new_group(int group) const {
        std::vector<CampaignItem> found = ungrouped();
        if (group == 0 || found.empty()) return found;
        std::vector<CampaignItem> linking = alive(links());
        linking.erase(std::remove_if(linking.begin(), linking.end(),
                                     [](const CampaignItem& item) { return item.is_reference; }),
                      linking.end());
        found.insert(found.begin() + 1, linking.begin(), linking.end());
        return found;
    }

    // Items of the first group that are in all others too, as far as these have room: the
    // references are too unlike a model to bring groups to one level to the percent.
    std::vector<std::string> links() const {
        constexpr std::size_t kMost = 6;
        constexpr std::size_t kOneIn = 8;
        const std::vector<std::string> ids = members(0);
        const std::size_t n =
            std::min({ids.size(), kMost, std::max<std::size_t>(1, ids.size() / kOneIn)});
        std::vector<std::string> found;
        for (std::size_t i = 0; i < n; ++i) found.push_back(ids[i * ids.size() / n]);
        return found;
    }

    // References and those of the ids that have not failed.
    std::vector<CampaignItem> alive(const std::vector<std::string>& ids) const {
        std::vector<CampaignItem> found;
        for (const CampaignItem& item : items_) {
            const bool is_wanted =
                item.is_reference || std::find(ids.begin(), ids.end(), item.job_id) != ids.end();
            if (is_wanted && !records_.has(item.job_id) && lost_.count(item.job_id) == 0) {
                found.push_back(item);
            }
        }
        return found;
    }

    static bool has_items(const std::vector<CampaignItem>& items) {
        return std::any_of(items.begin(), items.end(),
                           [](const CampaignItem& item) { return !item.is_reference; });
    }

    void run_group(int group) {
        for (int slot = 0; slot < settings_.processes; ++slot) {
            run_slot(group, slot, {});
        }
        // What is not sure enough is visited again while there is time, or while it lacks samples.
        for (int slot = settings_.processes; slot < 2 * settings_.processes; ++slot) {
            const std::vector<std::string> unsure = unsure_items(group);
            if (unsure.empty()) break;
            run_slot(group, slot, unsure);
        }
        report_group(group);
    }

    // Runs processes until the slot is done. only: the items; empty: all of the group.
    void run_slot(int group, int slot, const std::vector<std::string>& only) {
        for (int attempt = 0; attempt < kMostRestarts; ++attempt) {
            const CampaignState state = read_state(rounds_path_);
            take_failures(state);
            const std::optional<ProcessTask> task = task_of(state, group, slot, only);
            if (!task) return;
            const ProcessEnd end = run_child(*task, reader_);
            take_failures(read_state(rounds_path_));
            if (end.is_done) return;
            if (end.culprit) lose(task->items[*end.culprit], end.record);
        }
    }

    // Nothing when there is nothing to do.
    std::optional<ProcessTask> task_of(const CampaignState& state, int group, int slot,
                                       const std::vector<std::string>& only) const {
        static const CampaignState::Group none;
        const auto at = static_cast<std::size_t>(group);
        const bool is_known = at < state.groups.size() && !state.groups[at].items.empty();
        const CampaignState::Group& known = at < state.groups.size() ? state.groups[at] : none;
        const auto slot_at = static_cast<std::size_t>(slot);
        CampaignState::Slot here;
        if (slot_at < known.slots.size()) here = known.slots[slot_at];
        if (here.is_ended || (slot > 0 && !is_known)) return std::nullopt;
        std::vector<CampaignItem> items = alive(only.empty() ? known.items : only);
        if (!is_known) {
            const std::vector<CampaignItem> fresh = new_group(group);
            items.insert(items.end(), fresh.begin(), fresh.end());
        }
        if (!has_items(items)) return std::nullopt;
        const std::int64_t behind_ns = state.last_begin_ns - monotonic_raw_ns();
        const std::int64_t shift_ns = behind_ns > 0 ? behind_ns + 1'000'000'000 : 0;
        return ProcessTask{settings_,
                           rounds_path_,
                           {group, slot, state.n_processes},
                           std::move(items),
                           is_known,
                           n_alive(),
                           here.spent_secs,
                           known.spent_secs() - here.spent_secs,
                           std::max(1, settings_.processes - slot),
                           shift_ns};
    }

    void take_failures(const CampaignState& state) {
        for (const auto& [job_id, record] : state.failed) lose(job_id, record);
    }

    void lose(const CampaignItem& item, const std::string& record) { lose(item.job_id, record); }
    void lose(const std::string& job_id, const std::string& record) {
        // A reference that fails is done without.
        const bool is_reference = std::any_of(
            items_.begin(), items_.end(),
            [&](const CampaignItem& item) { return item.is_reference && item.job_id == job_id; });
        if (lost_.insert(job_id).second && !is_reference) ++n_lost_;
        if (!is_reference && !records_.has(job_id)) records_.append(job_id, record);
    }

    std::vector<std::string> members(int group) const {
        const CampaignState state = read_state(rounds_path_);
        const auto at = static_cast<std::size_t>(group);
        return at < state.groups.size() ? state.groups[at].items : std::vector<std::string>{};
    }

    double budget_of(std::size_t n_members) const {
        return settings_.budget_secs * static_cast<double>(n_members) /
               static_cast<double>(n_alive());
    }

    // Items that share the budget: all but those that are known to have failed.
    std::size_t n_alive() const { return std::max<std::size_t>(1, n_items_ - n_lost_); }

    static bool lacks_samples(const ItemData& item) {
        const std::vector<std::int64_t>& latency_ns = item.samples.latency_ns;
        return latency_ns.empty() ||
               latency_ns.size() < fewest_samples(static_cast<double>(latency_ns.front()));
    }

    std::vector<std::string> unsure_items(int group) const {
        constexpr double kWorthwhile = 0.1;  // of the budget
        const std::vector<std::string> ids = members(group);
        const CampaignData data = read_data(rounds_path_, ids_with_references(ids), group);
        const double spent_secs =
            read_state(rounds_path_).groups[static_cast<std::size_t>(group)].spent_secs();
        const bool has_time = spent_secs < (1.0 - kWorthwhile) * budget_of(ids.size());
        const std::vector<double> half_widths = data.estimate.half_widths();
        std::vector<std::string> unsure;
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (records_.has(ids[i])) continue;
            const bool is_wide = half_widths[i] > settings_.ci_rel;
            if (lacks_samples(data.items.at(ids[i])) || (has_time && is_wide)) {
                unsure.push_back(ids[i]);
            }
        }
        return unsure;
    }

    // The ids, then those of the references: they hold the level of the rounds.
    std::vector<std::string> ids_with_references(std::vector<std::string> ids) const {
        for (const CampaignItem& item : items_) {
            if (item.is_reference) ids.push_back(item.job_id);
        }
        return ids;
    }

    void report_group(int group) {
        std::vector<std::string> ids = members(group);
        const std::size_t n_members = ids.size();
        const CampaignState state = read_state(rounds_path_);
        if (state.groups.size() > 1 || !ungrouped().empty()) {
            for (const std::string& link : links()) {  // it is not done before the last group is
                ids.erase(std::remove(ids.begin(), ids.end(), link), ids.end());
            }
        }
        report(ids, group, budget_of(n_members),
               state.groups[static_cast<std::size_t>(group)].spent_secs());
    }

    void report_links() {
        const CampaignState state = read_state(rounds_path_);
        if (state.groups.size() > 1)
            report(links(), kAllGroups, settings_.budget_secs, spent_secs());
    }

    void report(const std::vector<std::string>& ids, int group, double budget_secs,
                double spent_secs) {
        const CampaignData data = read_data(rounds_path_, ids_with_references(ids), group);
        const std::vector<double> half_widths = data.estimate.half_widths();
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (records_.has(ids[i])) continue;
            const ItemData& item = data.items.at(ids[i]);
            if (lacks_samples(item)) {
                records_.append(ids[i], too_few_record(ids[i], item));
                continue;
            }
            CampaignFacts facts = facts_of(item, std::max(group, 0));
            facts.budget_secs = budget_secs;
            facts.spent_secs = spent_secs;
            facts.is_narrow = half_widths[i] <= settings_.ci_rel;
            if (std::isfinite(half_widths[i])) facts.half_width_rel = half_widths[i];
            records_.append(ids[i], campaign_record(ids[i], item.facts, data.clock, data.machine,
                                                    item.samples, facts));
        }
    }

    double spent_secs() const {
        double sum = 0.0;
        for (const CampaignState::Group& group : read_state(rounds_path_).groups) {
            sum += group.spent_secs();
        }
        return sum;
    }

    CampaignFacts facts_of(const ItemData& item, int group) const {
        const std::set<std::int64_t> processes(item.samples.process.begin(),
                                               item.samples.process.end());
        return {group, processes.size(), item.n_rounds,          false, 0.0, 0.0, settings_.ci_rel,
                {},    item.load_ns,     item.first_inference_ns};
    }

    std::string too_few_record(const std::string& job_id, const ItemData& item) const {
        const std::string n = std::to_string(item.samples.latency_ns.size());
        return failure_record(job_id, job_id,
                              Error(ErrorKind::kUnsteadyMeasurement,
                                    job_id + ": only " + n +
                                        " timed inferences came about, a result needs 10; "
                                        "measure again"),
                              {});
    }

    void report_references() {
        std::vector<std::string> ids = ids_with_references({});
        const CampaignData data = read_data(rounds_path_, ids, kAllGroups);
        const double all_secs = spent_secs();
        for (const std::string& id : ids) {
            const ItemData& item = data.items.at(id);
            if (records_.has(id) || item.samples.latency_ns.empty()) continue;
            CampaignFacts facts = facts_of(item, kAllGroups);
            facts.budget_secs = settings_.budget_secs;
            facts.spent_secs = all_secs;
            records_.append(
                id, campaign_record(id, item.facts, data.clock, data.machine, item.samples, facts));
        }
    }

    CampaignSettings settings_;
    int reader_;
    std::string rounds_path_;
    RecordFile records_;
    std::vector<CampaignItem> items_;  // references first
    std::size_t n_items_ = 0;          // of the jobs that can be read
    std::set<std::string> lost_;       // failed while this campaign ran
    std::size_t n_lost_ = 0;           // of them, those that are no references
};

}  // namespace

void run_campaign(const std::string& batch_folder, int reader) {
    CampaignSettings settings;
    try {
        settings = parse_campaign(read_text(batch_folder + "/campaign.json"));
    } catch (const Error& error) {  // then it is the error of every job
        RecordFile records(batch_folder + "/records.jsonl");
        for_each_line(batch_folder + "/jobs.jsonl", [&](const std::string& line) {
            const std::string job_id = json::string_member(line, "job_id");
            if (!records.has(job_id)) {
                records.append(job_id, failure_record(job_id, "", error, {}));
            }
        });
        return;
    }
    Campaign(batch_folder, settings, reader).run();
}

}  // namespace edgeprof
