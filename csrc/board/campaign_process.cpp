#include "board/campaign_process.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "board/line_file.h"
#include "board/load_model.h"
#include "machine/machine_state.h"
#include "machine/system_files.h"
#include "record/record.h"
#include "timing/clock.h"

namespace edgeprof {

namespace {

constexpr std::size_t kMostItems = 64;  // of a group: none may be away for long
constexpr double kSync_secs = 3.0;      // between two writes to the disk itself
constexpr double kIdle_secs = 60.0;     // between two items, at most

std::int64_t read_kib(const char* path, const char* name) {
    std::int64_t kib = 0;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "r"), std::fclose);
    char line[256];
    while (file && std::fgets(line, sizeof line, file.get()) != nullptr) {
        if (std::strncmp(line, name, std::strlen(name)) == 0) {
            kib = std::strtoll(line + std::strlen(name), nullptr, 10);
        }
    }
    return kib;
}

// An item that is ready to be visited.
struct ReadyItem {
    std::size_t index;  // in the task
    LoadedSubjob loaded;
    std::unique_ptr<Instruments> instruments;
    Prepared prepared;
};

class Process {
  public:
    Process(const ProcessTask& task, SharedProgress& progress)
        : task_(task),
          progress_(progress),
          file_(task.rounds_path),
          clock_(make_clock(task)),
          memory_limit_kib_(static_cast<std::int64_t>(
              task.settings.memory_share *
              static_cast<double>(read_kib("/proc/meminfo", "MemAvailable:")))),
          resident_at_start_kib_(resident_kib()) {}

    void run() {
        write(process_event(task_.place, clock_json(clock_), machine_state_json("/")));
        load_all();
        std::vector<CampaignSubject> subjects;
        std::vector<double> latency_ns;
        for (const ReadyItem& item : ready_) {
            const CampaignItem& of_task = task_.items[item.index];
            const std::size_t fewest = fewest_samples(item.prepared.latency_ns);
            const auto n_processes = static_cast<std::size_t>(task_.settings.processes);
            subjects.push_back({item.loaded.model.get(), item.instruments.get(),
                                of_task.job.subjobs.front().measure, of_task.is_reference,
                                (fewest + n_processes - 1) / n_processes});
            latency_ns.push_back(item.prepared.latency_ns);
        }
        std::string reason = name_of(RoundsEnd::kNothingLeft);
        if (!subjects.empty()) reason = name_of(run_rounds_of(subjects, std::move(latency_ns)));
        write(slot_end_event(task_.place, reason));
        file_.sync();
    }

  private:
    static Clock make_clock(const ProcessTask& task) {
        const std::string& name = task.items.back().job.clock;
        return name == "auto" ? Clock::best() : Clock::named(name);
    }
    static std::int64_t resident_kib() { return read_kib("/proc/self/status", "VmRSS:"); }

    void announce(int item, Phase phase, double limit_secs) {
        progress_.limit_secs = limit_secs;
        progress_.until_ns = monotonic_raw_ns() + static_cast<std::int64_t>(limit_secs * 1e9);
        progress_.phase = static_cast<int>(phase);
        progress_.item = item;
    }
    void announce_none() { announce(-1, Phase::kReporting, kIdle_secs); }

    void write(const std::string& event) {
        file_.append(event);
        if (secs_since(synced_at_ns_) < kSync_secs) return;
        file_.sync();
        synced_at_ns_ = monotonic_raw_ns();
    }

    void fail(std::size_t index, const Error& error) {
        const CampaignItem& item = task_.items[index];
        write(failed_event(item.job_id, failure_record(item.job_id, item.job.model_paths(), error,
                                                       {{"runtime", facts_.name},
                                                        {"runtime_version", facts_.version},
                                                        {"library_path", facts_.library_path}})));
    }

    // Loads what fits. An item that cannot be loaded costs only itself.
    void load_all() {
        std::size_t n_items = 0;
        for (std::size_t i = 0; i < task_.items.size(); ++i) {
            if (n_items > 0 && !task_.is_settled && (n_items >= kMostItems || is_full())) break;
            try {
                load(i);
                n_items += task_.items[i].is_reference ? 0 : 1;
            } catch (const Error& error) {
                // A device's memory cannot be asked for here: what does not fit beside the others
                // is tried again in a group of its own.
                if (n_items > 0 && !task_.is_settled && ready_.back().loaded.model->has_device()) {
                    break;
                }
                fail(i, error);
            } catch (const std::exception& error) {  // no memory, most likely
                fail(i, Error(ErrorKind::kHarnessCrashed,
                              task_.items[i].job.model_paths() + ": " + error.what()));
            }
            announce_none();
        }
        if (!task_.is_settled && n_items > 1 && is_full()) ready_.pop_back();
        if (task_.is_settled) return;
        std::vector<std::string> members;
        for (const ReadyItem& item : ready_) {
            const CampaignItem& of_task = task_.items[item.index];
            if (!of_task.is_reference) members.push_back(of_task.job_id);
        }
        write(group_event(task_.place.group, members));
    }

    bool is_full() const { return resident_kib() - resident_at_start_kib_ > memory_limit_kib_; }

    void load(std::size_t index) {
        const CampaignItem& item = task_.items[index];
        const Subjob& subjob = item.job.subjobs.front();
        const double limit_secs = task_.settings.max_load_secs;
        ReadyItem ready{index, {}, nullptr, {}};
        ready.loaded = load_subjob(
            subjob, item.job.root,
            [&](Phase phase, const RuntimeFacts& facts) {
                facts_ = facts;
                std::strncpy(progress_.runtime_version, facts.version.c_str(),
                             sizeof progress_.runtime_version - 1);
                announce(static_cast<int>(index), phase, limit_secs);
            },
            facts_);
        ready.instruments = std::make_unique<MachineInstruments>(clock_, nullptr, subjob.measure,
                                                                 item.job.root, nullptr);
        announce(static_cast<int>(index), Phase::kMeasuring, 2.0 * limit_secs);
        LoadedModel& model = *ready.loaded.model;
        const auto prepared = prepare_model(model, *ready.instruments, subjob.measure);
        if (!prepared) refuse_failed(index, model.failure());
        ready.prepared = *prepared;
        write(loaded_event(task_.place, item.job_id,
                           item_facts_json(subjob.load, subjob.measure, facts_, model,
                                           ready.loaded.load_ns, ready.prepared)));
        ready_.push_back(std::move(ready));
    }

    [[noreturn]] void refuse_failed(std::size_t index, const std::string& failure) const {
        throw Error(ErrorKind::kUnsupportedModel,
                    task_.items[index].job.model_paths() + ": inference failed: " + failure);
    }

    // The group's share of the budget, as its items have of all; what is left of it for this slot.
    double slot_secs() const {
        double n_members = 0.0;
        for (const ReadyItem& item : ready_) {
            n_members += task_.items[item.index].is_reference ? 0.0 : 1.0;
        }
        const double share = n_members / static_cast<double>(task_.n_items);
        const double left_secs = task_.settings.budget_secs * share - task_.spent_before_secs;
        return std::max(0.0, left_secs / task_.n_slots_left - task_.spent_secs);
    }

    RoundsEnd run_rounds_of(const std::vector<CampaignSubject>& subjects,
                            std::vector<double> latency_ns) {
        // What is left to the mean of several processes may be wider in each of them.
        const double target = task_.settings.ci_rel * std::sqrt(task_.settings.processes);
        const auto seed =
            task_.settings.seed + static_cast<std::uint64_t>(task_.place.process) * 7919;
        std::vector<std::string> ids;
        for (const ReadyItem& item : ready_) ids.push_back(task_.items[item.index].job_id);
        CampaignListener listener;
        listener.on_visit = [this](std::size_t subject, double limit_secs) {
            facts_ = ready_[subject].loaded.runtime->facts();
            announce(static_cast<int>(ready_[subject].index), Phase::kMeasuring, limit_secs);
        };
        listener.on_failure = [this](std::size_t subject, const std::string& failure) {
            try {
                refuse_failed(ready_[subject].index, failure);
            } catch (const Error& error) {
                fail(ready_[subject].index, error);
            }
        };
        listener.on_round = [this, &ids](const Round& round) {
            announce_none();
            write(round_event(task_.place, round, task_.spent_secs + round.spent_secs, ids,
                              task_.shift_ns));
        };
        RatioEstimate estimate(subjects.size());
        return run_rounds(subjects, std::move(latency_ns), {slot_secs(), target, seed}, estimate,
                          listener);
    }

    const ProcessTask& task_;
    SharedProgress& progress_;
    LineFile file_;
    Clock clock_;
    std::int64_t memory_limit_kib_;
    std::int64_t resident_at_start_kib_;
    std::int64_t synced_at_ns_ = 0;
    RuntimeFacts facts_;  // of the item at hand
    std::vector<ReadyItem> ready_;
};

}  // namespace

void run_process(const ProcessTask& task, SharedProgress& progress) {
    Process(task, progress).run();
}

}  // namespace edgeprof
