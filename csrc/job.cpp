#include "job.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>

#include "affinity.h"
#include "drift.h"
#include "error.h"
#include "machine_state.h"
#include "record.h"

namespace edgeprof {

namespace {

[[noreturn]] void refuse(const std::string& field, const std::string& wanted) {
    throw Error(ErrorKind::kInvalidJob, "job: field '" + field + "': expected " + wanted);
}

std::string read_string(const std::string& field, const json::Value& value) {
    if (const std::string* text = value.as_string()) return *text;
    refuse(field, "a string");
}

double read_number(const std::string& field, const json::Value& value, double least, double most) {
    double number = std::numeric_limits<double>::quiet_NaN();
    if (const double* real = value.as_double()) number = *real;
    if (const std::int64_t* integer = value.as_int()) number = static_cast<double>(*integer);
    if (number >= least && number <= most) return number;
    json::Writer range;
    range.begin_array().value(least).value(most).end_array();
    refuse(field, "a number in " + range.text());
}

std::int64_t read_integer(const std::string& field, const json::Value& value, std::int64_t least,
                          std::int64_t most) {
    const std::int64_t* integer = value.as_int();
    if (integer != nullptr && *integer >= least && *integer <= most) return *integer;
    refuse(field, "an integer in [" + std::to_string(least) + "," + std::to_string(most) + "]");
}

std::vector<std::int64_t> read_integers(const std::string& field, const json::Value& value,
                                        std::int64_t least, std::int64_t most) {
    const json::Array* items = value.as_array();
    if (items == nullptr) refuse(field, "a list of integers");
    std::vector<std::int64_t> integers;
    for (const json::Value& item : *items) {
        integers.push_back(read_integer(field, item, least, most));
    }
    return integers;
}

bool read_flag(const std::string& field, const json::Value& value) {
    if (const bool* flag = value.as_bool()) return *flag;
    refuse(field, "true or false");
}

const json::Object& read_object(const std::string& field, const json::Value& value) {
    const json::Object* object = value.as_object();
    if (object == nullptr) refuse(field, "an object");
    return *object;
}

Subjob default_subjob() {
    Subjob subjob;
    subjob.runtime = "onnxruntime";
    subjob.load.threads = 1;
    subjob.load.seed = 0;
    subjob.measure.ci_rel = 0.01;
    subjob.measure.min_secs = 0.3;
    subjob.measure.max_secs = 10.0;
    subjob.measure.calm_canary_ns = 0.0;
    subjob.measure.min_samples = 30;
    subjob.measure.max_samples = 100'000;
    subjob.measure.has_worker_threads = false;  // see complete()
    subjob.counters = CounterMode::kAuto;
    subjob.per_op_runs = 0;
    subjob.has_timestamps = false;
    subjob.is_reference = false;
    return subjob;
}

constexpr double kDay_secs = 86'400.0;
constexpr std::int64_t kManySamples = 10'000'000;

std::size_t read_size(const std::string& field, const json::Value& value, std::int64_t least) {
    return static_cast<std::size_t>(read_integer(field, value, least, kManySamples));
}

bool read_measure_field(MeasureSettings& settings, const std::string& field,
                        const json::Value& value) {
    if (field == "ci_rel") {
        settings.ci_rel = read_number(field, value, 1e-6, 1.0);
    } else if (field == "min_secs") {
        settings.min_secs = read_number(field, value, 0.0, kDay_secs);
    } else if (field == "max_secs") {
        settings.max_secs = read_number(field, value, 1e-3, kDay_secs);
    } else if (field == "calm_canary_ns") {
        settings.calm_canary_ns = read_number(field, value, 1.0, 1e12);
    } else if (field == "min_samples") {
        settings.min_samples = read_size(field, value, 1);
    } else if (field == "max_samples") {
        settings.max_samples = read_size(field, value, 1);
    } else if (field == "cpus") {
        for (const std::int64_t cpu : read_integers(field, value, 0, 4095)) {
            settings.cpus.push_back(static_cast<int>(cpu));
        }
    } else {
        return false;
    }
    return true;
}

bool read_load_field(LoadSettings& settings, const std::string& field, const json::Value& value) {
    if (field == "model") {
        settings.model_path = read_string(field, value);
    } else if (field == "threads") {
        settings.threads = static_cast<int>(read_integer(field, value, 1, 1024));
    } else if (field == "seed") {
        settings.seed = static_cast<std::uint64_t>(
            read_integer(field, value, 0, std::numeric_limits<std::int64_t>::max()));
    } else if (field == "shapes") {
        for (const auto& [name, shape] : read_object(field, value)) {
            settings.shapes[name] = read_integers("shapes." + name, shape, 1, 1 << 30);
        }
    } else if (field == "runtime_options") {
        read_object(field, value);
        settings.options = value;
    } else {
        return false;
    }
    return true;
}

bool read_subjob_field(Subjob& subjob, const std::string& field, const json::Value& value) {
    if (field == "runtime") {
        subjob.runtime = read_string(field, value);
    } else if (field == "library") {
        subjob.library = read_string(field, value);
    } else if (field == "counters") {
        const std::string mode = read_string(field, value);
        if (mode != "auto" && mode != "off") refuse(field, "'auto' or 'off'");
        subjob.counters = mode == "off" ? CounterMode::kOff : CounterMode::kAuto;
    } else if (field == "per_op_runs") {
        subjob.per_op_runs = static_cast<std::size_t>(read_integer(field, value, 0, 10'000));
    } else if (field == "outputs_file") {
        subjob.outputs_file = read_string(field, value);
    } else if (field == "reference") {
        subjob.is_reference = read_flag(field, value);
    } else if (field == "timestamps") {
        subjob.has_timestamps = read_flag(field, value);
    } else {
        return read_load_field(subjob.load, field, value) ||
               read_measure_field(subjob.measure, field, value);
    }
    return true;
}

[[noreturn]] void refuse_unknown(const std::string& field) {
    throw Error(ErrorKind::kInvalidJob, "job: unknown field '" + field + "'");
}

void complete(Subjob& subjob) {
    if (subjob.load.model_path.empty() && subjob.runtime != "null") {
        throw Error(ErrorKind::kInvalidJob, "job: field 'model' is missing");
    }
    subjob.measure.has_worker_threads = subjob.load.threads > 1;
}

std::vector<Subjob> read_group(const std::string& field, const json::Value& value) {
    constexpr std::size_t kMost = 64;  // all of them are in memory at once
    const json::Array* items = value.as_array();
    if (items == nullptr || items->size() < 2 || items->size() > kMost) {
        refuse(field, "a list of 2 to " + std::to_string(kMost) + " jobs");
    }
    std::vector<Subjob> subjobs;
    int n_references = 0;
    for (const json::Value& item : *items) {
        subjobs.push_back(default_subjob());
        for (const auto& [name, member] : read_object(field, item)) {
            if (!read_subjob_field(subjobs.back(), name, member)) refuse_unknown(name);
        }
        complete(subjobs.back());
        n_references += subjobs.back().is_reference;
    }
    if (n_references > 1) refuse("reference", "true for one job of the list at most");
    return subjobs;
}

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

Job parse_job(const std::string& line) {
    json::Value tree;
    try {
        tree = json::parse(line);
    } catch (const json::ParseError& error) {
        throw Error(ErrorKind::kInvalidJob, std::string("job: ") + error.what());
    }
    const json::Object* fields = tree.as_object();
    if (fields == nullptr) throw Error(ErrorKind::kInvalidJob, "job: expected a JSON object");
    Job job;
    job.clock = "auto";
    job.root = "/";
    job.max_load_secs = 120.0;
    job.max_drift = 0.10;
    job.is_group = tree.find("interleave") != nullptr;
    Subjob single = default_subjob();
    for (const auto& [field, value] : *fields) {
        if (field == "job_id") {
            job.job_id = read_string(field, value);
        } else if (field == "clock") {
            job.clock = read_string(field, value);
        } else if (field == "max_load_secs") {
            job.max_load_secs = read_number(field, value, 1e-3, kDay_secs);
        } else if (field == "max_drift") {
            job.max_drift = read_number(field, value, 1e-6, 1e6);
        } else if (field == "interleave") {
            job.subjobs = read_group(field, value);
        } else if (job.is_group || !read_subjob_field(single, field, value)) {
            refuse_unknown(field);
        }
    }
    if (!job.is_group) {
        complete(single);
        if (single.is_reference) refuse("reference", "to stand in a list 'interleave'");
        job.subjobs.push_back(std::move(single));
    }
    if (job.job_id.empty()) job.job_id = job.model_paths();
    return job;
}

double Job::max_secs() const {
    double sum = 0.0;
    for (const Subjob& subjob : subjobs) sum += subjob.measure.max_secs;
    return sum;
}

std::vector<int> Job::measured_cpus() const {
    std::vector<int> cpus;
    for (const Subjob& subjob : subjobs) {
        if (subjob.measure.cpus.empty()) return {};
        cpus.insert(cpus.end(), subjob.measure.cpus.begin(), subjob.measure.cpus.end());
    }
    return cpus;
}

std::string Job::model_paths() const {
    std::string paths;
    for (const Subjob& subjob : subjobs) {
        if (!paths.empty()) paths += " and ";
        paths += subjob.load.model_path;
    }
    return paths;
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
