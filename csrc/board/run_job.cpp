#include "board/run_job.h"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "board/progress_file.h"
#include "machine/energy_sampler.h"
#include "machine/machine_state.h"
#include "record/record.h"
#include "runtimes/input_values.h"
#include "timing/instruments.h"

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

bool has_fewest(const Outcome& outcome) {
    const std::vector<std::int64_t>& latency_ns = outcome.samples.latency_ns;
    return outcome.stop_reason == StopReason::kMaxSecs && !latency_ns.empty() &&
           latency_ns.size() <= fewest_samples(static_cast<double>(latency_ns.front()));
}

// What to try where values that were made up may be none that the model takes.
std::string remedy_of(const LoadedModel& model, const LoadSettings& settings) {
    std::string names;
    for (const TensorFacts& input : model.inputs()) {
        const bool is_made_up = given_values(input, settings) == nullptr;
        if (!is_made_up || input.type.find("int") == std::string::npos) continue;
        names += (names.empty() ? "" : ", ") + input.name;
    }
    return names.empty()
               ? ""
               : "; if it needs other integers than 0 and 1, give them with --input: " + names;
}

void refuse_failed(const Job& job, const std::vector<LoadedSubjob>& loaded,
                   const std::vector<Outcome>& outcomes) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        const std::string& path = job.subjobs[i].load.model_path;
        if (outcomes[i].stop_reason == StopReason::kFailed) {
            throw Error(ErrorKind::kUnsupportedModel,
                        path + ": inference failed: " + outcomes[i].failure +
                            remedy_of(*loaded[i].model, job.subjobs[i].load));
        }
    }
}

// What is left to do for one model when all is timed.
RecordParts report(const Subjob& subjob, const LoadedSubjob& loaded, const EnergySampler& energy,
                   const Outcome& outcome, const ReferenceTurns& references,
                   const JobListener& listener) {
    if (!subjob.outputs_file.empty()) write_outputs(*loaded.model, subjob.outputs_file);
    RecordParts parts{subjob.load,
                      subjob.measure,
                      subjob.per_op_runs,
                      subjob.has_timestamps,
                      loaded.runtime->facts(),
                      *loaded.model,
                      loaded.counters.get(),
                      energy,
                      loaded.load_ns,
                      outcome,
                      references.samples(),
                      {},
                      {},
                      {},
                      {}};
    if (subjob.per_op_runs > 0) {
        listener.on_phase(Phase::kProfiling, parts.runtime);
        try {
            parts.operators = loaded.runtime->profile(subjob.load, subjob.per_op_runs);
        } catch (const Error& error) {  // what was timed stays
            parts.profile_failure = error.what();
        }
    }
    return parts;
}

std::vector<Reference> own_references() {
    const auto make = [](const char* model) {
        return [model] {
            LoadSettings settings{model, 1, 0, {}, {}, {}};
            return open_reference_runtime()->load(settings);
        };
    };
    return {{"arithmetic", make(kArithmeticReference)}, {"memory", make(kMemoryReference)}};
}

JobListener with_progress(const JobListener& listener, ProgressFile& progress) {
    JobListener both;
    both.on_phase = [&](Phase phase, const RuntimeFacts& runtime) {
        progress.tell_phase(phase);
        if (listener.on_phase) listener.on_phase(phase, runtime);
    };
    both.on_warm = [&](std::int64_t latency_ns) {
        progress.tell_warm();
        if (listener.on_warm) listener.on_warm(latency_ns);
    };
    return both;
}

RoundListener round_listener(const Job& job, ProgressFile& progress) {
    if (job.progress_file.empty()) return {};
    return [&progress](const StatusReader& read_status) { progress.tell_round(read_status); };
}

std::string run(const Job& job, const JobListener& outer, RuntimeFacts& facts) {
    ProgressFile progress(job.progress_file);
    const JobListener listener = with_progress(outer, progress);
    const std::string machine_json = machine_state_json("/");
    Clock clock = job.clock == "auto" ? Clock::best() : Clock::named(job.clock);
    // Before the counters are opened, which later threads would inherit.
    EnergySampler energy(job.root, job.measured_cpus());
    std::vector<LoadedSubjob> loaded;
    std::vector<std::unique_ptr<Instruments>> instruments;
    std::vector<Subject> subjects;
    for (const Subjob& subjob : job.subjobs) {
        loaded.push_back(load_subjob(subjob, job.root, listener.on_phase, facts));
        instruments.push_back(std::make_unique<MachineInstruments>(
            clock, loaded.back().counters.get(), subjob.measure, job.root, &energy));
        subjects.push_back({loaded.back().model.get(), instruments.back().get(), subjob.measure});
    }
    listener.on_phase(Phase::kMeasuring, facts);
    // Of several models in one process, nobody knows whose the peak is. The references have memory
    // of their own: it is read before they come, and before anything is loaded again.
    std::optional<std::int64_t> peak_bytes;
    const auto on_warm = [&](std::int64_t latency_ns) {
        if (!job.is_group) peak_bytes = read_peak_rss_bytes();
        listener.on_warm(latency_ns);
    };
    ReferenceTurns references(job.has_references ? own_references() : std::vector<Reference>{});
    const std::vector<Outcome> outcomes = measure(subjects, job.subjobs.front().load.seed, on_warm,
                                                  &references, round_listener(job, progress));
    if (!job.is_group && !job.has_references) peak_bytes = read_peak_rss_bytes();
    refuse_failed(job, loaded, outcomes);
    const std::vector<std::optional<Drift>> drifts = judge_drift(job, outcomes);
    std::vector<RecordParts> parts;
    for (std::size_t i = 0; i < job.subjobs.size(); ++i) {
        parts.push_back(
            report(job.subjobs[i], loaded[i], energy, outcomes[i], references, listener));
        parts.back().drift = drifts[i];
        parts.back().peak_rss_bytes = peak_bytes;
    }
    listener.on_phase(Phase::kReporting, facts);
    return job.is_group ? group_record(job.job_id, clock, parts, machine_json)
                        : success_record(job.job_id, clock, parts.front(), machine_json);
}

}  // namespace

std::vector<std::optional<Drift>> judge_drift(const Job& job,
                                              const std::vector<Outcome>& outcomes) {
    std::optional<std::size_t> reference;
    for (std::size_t i = 0; i < job.subjobs.size(); ++i) {
        if (job.subjobs[i].is_reference) reference = i;
    }
    const std::vector<std::optional<Drift>> drifts = find_drifts(outcomes, reference);
    for (std::size_t i = 0; i < drifts.size(); ++i) {
        const std::optional<Drift>& drift = drifts[i];
        // Of the fewest samples that make a result, a third is too few to refuse it by.
        if (!drift || std::abs(drift->rel) <= job.max_drift || has_fewest(outcomes[i])) continue;
        char text[128];
        std::snprintf(text, sizeof text, "drifted by %.1f %% while measuring (%s), want %g %%",
                      drift->rel * 100.0, drift->by, job.max_drift * 100.0);
        throw Error(ErrorKind::kUnsteadyMeasurement,
                    job.subjobs[i].load.model_path + ": the machine " + text +
                        " at most; repeat when it is calm, or raise --max-drift");
    }
    return drifts;
}

std::string run_job(const Job& job, const JobListener& listener) {
    RuntimeFacts facts;
    try {
        return run(job, listener, facts);
    } catch (const Error& error) {
        return failure_record(job.job_id, job.model_paths(), error,
                              {{"runtime", facts.name},
                               {"runtime_version", facts.version},
                               {"library_path", facts.library_path}});
    } catch (const std::bad_alloc&) {
        return failure_record(
            job.job_id, job.model_paths(),
            Error(ErrorKind::kUnsupportedModel, job.model_paths() + ": not enough memory"), {});
    } catch (const std::exception& error) {
        return failure_record(job.job_id, job.model_paths(),
                              Error(ErrorKind::kHarnessCrashed, error.what()), {});
    }
}

}  // namespace edgeprof
