#include "record/record.h"

#include <sys/stat.h>

#include <fstream>
#include <optional>

#include "base/json.h"
#include "base/sha256.h"
#include "base/version.h"
#include "record/model_weights.h"
#include "record/record_results.h"
#include "record/record_writers.h"

namespace edgeprof {

namespace {

void write_tensors(json::Writer& writer, const char* name, const std::vector<TensorFacts>& all) {
    writer.key(name).begin_array();
    for (const TensorFacts& tensor : all) {
        writer.begin_object()
            .member("name", tensor.name)
            .member("type", tensor.type)
            .member("shape", tensor.shape)
            .end_object();
    }
    writer.end_array();
}

// Many values by their digest.
void write_given_values(json::Writer& writer, const GivenValues& given) {
    constexpr std::size_t kFew = 16;
    json::Writer list;
    const auto write = [&](const auto& all) {
        list.begin_array();
        for (const auto& item : all) list.value(item);
        list.end_array();
    };
    std::visit(write, given.values);
    writer.begin_object();
    if (given.is_range) {
        writer.key("range").raw(list.text());
    } else if (given.size() <= kFew) {
        writer.key("values").raw(list.text());
    } else {
        writer.member("n", given.size()).member("sha256", sha256_of_bytes(list.text()));
    }
    writer.end_object();
}

void write_settings(json::Writer& writer, const RecordParts& parts) {
    const MeasureSettings& settings = parts.settings;
    writer.key("settings")
        .begin_object()
        .member("threads", parts.load.threads)
        .member("cpus", settings.cpus)
        .member("seed", parts.load.seed)
        .member("ci_rel", settings.ci_rel)
        .member("min_secs", settings.min_secs)
        .member("max_secs", settings.max_secs)
        .member("min_samples", settings.min_samples)
        .member("max_samples", settings.max_samples);
    if (!parts.load.inputs.empty()) {
        writer.key("inputs").begin_object();
        for (const auto& [name, given] : parts.load.inputs) {
            write_given_values(writer.key(name), given);
        }
        writer.end_object();
    }
    writer.end_object();
}

void write_record(json::Writer& writer, const std::string& job_id, const Clock& clock,
                  const RecordParts& parts, const std::string& machine_json) {
    writer.begin_object();
    write_head(writer, job_id);
    write_model(writer, parts.load.model_path);
    write_runtime(writer, parts.runtime, parts.model);
    write_settings(writer, parts);
    write_results(writer, clock, parts);
    writer.key("machine").raw(machine_json).end_object();
}

}  // namespace

void write_head(json::Writer& writer, const std::string& job_id) {
    writer.member("record_version", kRecordVersion)
        .member("job_id", job_id)
        .member("edgeprof_version", version());
}

void write_model(json::Writer& writer, const std::string& path) {
    writer.key("model").begin_object().member("path", path);
    struct stat facts = {};
    if (!path.empty() && stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode)) {
        writer.member("sha256", sha256_of_file(path))
            .member("model_bytes", static_cast<std::int64_t>(facts.st_size));
        if (const std::optional<ExternalWeights> weights = external_weights(path)) {
            writer.member("weights_sha256", weights->sha256)
                .member("weights_bytes", weights->bytes);
        }
    }
    writer.end_object();
}

void write_runtime(json::Writer& writer, const RuntimeFacts& runtime, const LoadedModel& model) {
    writer.key("runtime").begin_object().member("name", runtime.name);
    if (!runtime.version.empty()) writer.member("version", runtime.version);
    if (!runtime.library_path.empty()) {
        writer.member("library_path", runtime.library_path)
            .member("library_sha256", remembered_sha256(runtime.library_path));
    }
    writer.key("options").raw(model.options_json());
    write_tensors(writer, "inputs", model.inputs());
    write_tensors(writer, "outputs", model.outputs());
    writer.end_object();
}

std::string success_record(const std::string& job_id, const Clock& clock, const RecordParts& parts,
                           const std::string& machine_json) {
    json::Writer writer;
    write_record(writer, job_id, clock, parts, machine_json);
    return writer.text();
}

std::string group_record(const std::string& job_id, const Clock& clock,
                         const std::vector<RecordParts>& parts, const std::string& machine_json) {
    json::Writer writer;
    writer.begin_object();
    write_head(writer, job_id);
    writer.key("group").begin_array();
    for (const RecordParts& part : parts) write_record(writer, job_id, clock, part, machine_json);
    writer.end_array().end_object();
    return writer.text();
}

std::string failure_record(const std::string& job_id, const std::string& model_path,
                           const Error& error, const ErrorEvidence& evidence) {
    json::Writer writer;
    writer.begin_object();
    write_head(writer, job_id);
    writer.key("model").begin_object().member("path", model_path).end_object();
    writer.key("error")
        .begin_object()
        .member("kind", name_of(error.kind()))
        .member("message", one_line(error.what()))
        .member("transient", is_transient(error.kind()));
    for (const auto& [name, value] : evidence) {
        if (!value.empty()) writer.member(name, value);
    }
    writer.end_object().end_object();
    return writer.text();
}

std::optional<std::int64_t> read_peak_rss_bytes() {
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line)) {
        if (line.rfind("VmHWM:", 0) == 0) return std::stoll(line.substr(6)) * 1024;
    }
    return std::nullopt;
}

std::string one_line(const std::string& text) {
    constexpr std::size_t kMaxBytes = 600;
    std::string line;
    for (const char c : text) {
        const bool is_space = static_cast<unsigned char>(c) <= 0x20;
        if (is_space && (line.empty() || line.back() == ' ')) continue;
        line.push_back(is_space ? ' ' : c);
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (line.size() > kMaxBytes) line = line.substr(0, kMaxBytes) + " ...";
    return line;
}

}  // namespace edgeprof
