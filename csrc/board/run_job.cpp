#include "board/run_job.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "machine/affinity.h"
#include "machine/energy_sampler.h"
#include "machine/machine_state.h"
#include "record/record.h"
#include "timing/drift.h"

namespace edgeprof {

namespace {

// The elements of all outputs of the last inference, one output after the other.
void write_outputs(const LoadedModel& model, const std::string& path) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    for (std::size_t i = 0; i < model.outputs().size(); ++i) {
        const std::vector<std::uint8_t> bytes = model.output_bytes(i);
        file.write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }
    if (!file.flush()) throw Error(ErrorKind::kInvalidJob, path + ": outputs cannot be written");
}

// What the file system says about the model, before a runtime says it less clearly.
void check_model_file(const std::string& path) {
    struct stat facts = {};
    if (stat(path.c_str(), &facts) != 0) {
        throw Error(ErrorKind::kInvalidModel, path + ": no such model file");
    }
    if (!S_ISREG(facts.st_mode)) throw Error(ErrorKind::kInvalidModel, path + ": is not a file");
    if (facts.st_size == 0) throw Error(ErrorKind::kInvalidModel, path + ": is empty");
    if (access(path.c_str(), R_OK) != 0) {
        throw Error(ErrorKind::kInvalidModel, path + ": cannot be read: " + std::strerror(errno));
    }
}

// A model that is loaded, with all that it needs to stay so.
struct Loaded {
    std::shared_ptr<Runtime> runtime;
    std::unique_ptr<CounterGroup> counters;
    std::unique_ptr<LoadedModel> model;
    std::int64_t load_ns;
};

void tell(const JobListener& listener, Phase phase, const RuntimeFacts& facts) {
    if (listener.on_phase) listener.on_phase(phase, facts);
}

Loaded load(const Job& job, const Subjob& subjob, const JobListener& listener,
            RuntimeFacts& facts) {
    facts = {subjob.runtime, "", subjob.library};
    tell(listener, Phase::kOpening, facts);
    if (subjob.runtime != "null") check_model_file(subjob.load.model_path);
    check_cpus(subjob.measure.cpus);
    const ScopedAffinity affinity(subjob.measure.cpus);
    Loaded loaded;
    // Before the runtime: its threads inherit the counters.
    if (subjob.counters == CounterMode::kAuto) {
        loaded.counters = std::make_unique<CounterGroup>(subjob.measure.has_worker_threads,
                                                         subjob.measure.cpus, job.root);
    }
    loaded.runtime = open_runtime(subjob.runtime, subjob.library);
    facts = loaded.runtime->facts();
    if (subjob.per_op_runs > 0 && !loaded.runtime->has_profiler()) {
        throw Error(ErrorKind::kUnsupportedModel,
                    facts.name + " offers no profile by operator; leave --per-op out");
    }
    tell(listener, Phase::kLoading, facts);
    const std::int64_t start_ns = monotonic_raw_ns();
    loaded.model = loaded.runtime->load(subjob.load);
    loaded.load_ns = monotonic_raw_ns() - start_ns;
    return loaded;
}

std::string run(const Job& job, const JobListener& listener, RuntimeFacts& facts) {
    const std::string machine_json = machine_state_json("/");
    Clock clock = job.clock == "auto" ? Clock::best() : Clock::named(job.clock);
    // Before the counters are opened, which later threads would inherit.
    EnergySampler energy(job.root, job.measured_cpus());
    std::vector<Loaded> loaded;
    std::vector<Subject> subjects;
    for (const Subjob& subjob : job.subjobs) {
        loaded.push_back(load(job, subjob, listener, facts));
        subjects.push_back({loaded.back().model.get(), loaded.back().counters.get(), subjob.measure,
                            job.root, &energy});
    }
    tell(listener, Phase::kMeasuring, facts);
    const std::vector<Outcome> outcomes =
        measure(subjects, job.subjobs.front().load.seed, clock, listener.on_first_inference);

    // Before anything is loaded again. Of several models in one process, nobody knows whose it is.
    std::optional<std::int64_t> peak_bytes;
    if (!job.is_group) peak_bytes = read_peak_rss_bytes();
    for (std::size_t i = 0; i < job.subjobs.size(); ++i) {
        if (outcomes[i].stop_reason != StopReason::kFailed) continue;
        throw Error(ErrorKind::kUnsupportedModel,
                    job.subjobs[i].load.model_path + ": inference failed: " + outcomes[i].failure);
    }
    const std::vector<std::optional<Drift>> drifts = judge_drift(job, outcomes);

    std::vector<RecordParts> parts;
    for (std::size_t i = 0; i < job.subjobs.size(); ++i) {
        const Subjob& subjob = job.subjobs[i];
        if (!subjob.outputs_file.empty()) write_outputs(*loaded[i].model, subjob.outputs_file);
        std::vector<OperatorTime> operators;
        std::string profile_failure;
        if (subjob.per_op_runs > 0) {
            tell(listener, Phase::kProfiling, loaded[i].runtime->facts());
            try {
                operators = loaded[i].runtime->profile(subjob.load, subjob.per_op_runs);
            } catch (const Error& error) {  // what was timed stays
                profile_failure = error.what();
            }
        }
        parts.push_back({subjob, loaded[i].runtime->facts(), *loaded[i].model,
                         loaded[i].counters.get(), energy, loaded[i].load_ns, outcomes[i],
                         drifts[i], peak_bytes, std::move(operators), std::move(profile_failure)});
    }
    tell(listener, Phase::kReporting, facts);
    return success_record(job, clock, parts, machine_json);
}

}  // namespace

const char* name_of(Phase phase) noexcept {
    switch (phase) {
        case Phase::kOpening:
            return "opening";
        case Phase::kLoading:
            return "loading";
        case Phase::kMeasuring:
            return "measuring";
        case Phase::kProfiling:
            return "profiling";
        case Phase::kReporting:
            return "reporting";
    }
    return "unknown";
}

std::string run_job(const Job& job, const JobListener& listener) {
    RuntimeFacts facts;
    try {
        return run(job, listener, facts);
    } catch (const Error& error) {
        return failure_record(job, error,
                              {{"runtime", facts.name},
                               {"runtime_version", facts.version},
                               {"library_path", facts.library_path}});
    } catch (const std::exception& error) {
        return failure_record(job, Error(ErrorKind::kHarnessCrashed, error.what()), {});
    }
}

}  // namespace edgeprof
