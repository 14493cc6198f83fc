#include "board/job.h"

#include <limits>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "board/given_values_json.h"
#include "board/json_fields.h"

namespace edgeprof {

namespace {

Subjob default_subjob() {
    Subjob subjob;
    subjob.runtime = "onnxruntime";
    subjob.load.threads = 1;
    subjob.load.seed = 0;
    subjob.measure.ci_rel = 0.01;
    subjob.measure.min_secs = 0.3;
    subjob.measure.max_secs = 10.0;
    subjob.measure.min_samples = 30;
    subjob.measure.max_samples = 100'000;
    subjob.measure.has_worker_threads = false;  // see complete()
    subjob.counters = CounterMode::kAuto;
    subjob.per_op_runs = 0;
    subjob.has_timestamps = false;
    subjob.is_reference = false;
    return subjob;
}

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
            settings.shapes[name] = read_integers("shapes." + name, shape, 0, 1 << 30);
        }
    } else if (field == "inputs") {
        for (const auto& [name, given] : read_object(field, value)) {
            settings.inputs[name] = read_given_values("inputs." + name, given);
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

}  // namespace

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
    job.has_references = false;
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
        } else if (field == "references") {
            job.has_references = read_flag(field, value);
        } else if (field == "progress_file") {
            job.progress_file = read_string(field, value);
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
    for (Subjob& subjob : job.subjobs) {
        subjob.measure.max_load_secs = subjob.measure.max_warmup_secs = job.max_load_secs;
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

}  // namespace edgeprof
