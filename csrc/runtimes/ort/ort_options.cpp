#include "runtimes/ort/ort_options.h"

#include <cstdlib>

#include "base/error.h"
#include "base/sha256.h"
#include "runtimes/ort/ort_api.h"

namespace edgeprof {

namespace {

[[noreturn]] void refuse_option(const std::string& key, const char* wanted) {
    throw Error(ErrorKind::kInvalidJob, "runtime option '" + key + "': expected " + wanted);
}

bool read_flag(const std::string& key, const json::Value& value) {
    if (const bool* flag = value.as_bool()) return *flag;
    refuse_option(key, "true or false");
}

std::string read_text(const std::string& key, const json::Value& value) {
    if (const std::string* text = value.as_string()) return *text;
    refuse_option(key, "a string");
}

std::vector<std::pair<std::string, std::string>> read_pairs(const std::string& key,
                                                            const json::Value& value) {
    const json::Object* object = value.as_object();
    if (object == nullptr) refuse_option(key, "an object of strings");
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const auto& [name, item] : *object) pairs.emplace_back(name, read_text(key, item));
    return pairs;
}

// One path may stand alone.
std::vector<std::string> read_paths(const std::string& key, const json::Value& value) {
    if (value.as_string() != nullptr) return {*value.as_string()};
    if (value.as_array() == nullptr) refuse_option(key, "a path or a list of paths");
    std::vector<std::string> paths;
    for (const json::Value& item : *value.as_array()) paths.push_back(read_text(key, item));
    return paths;
}

std::vector<OrtProvider> read_providers(const std::string& key, const json::Value& value) {
    const json::Array* items = value.as_array();
    if (items == nullptr) refuse_option(key, "a list of names or {name, options}");
    std::vector<OrtProvider> providers;
    for (const json::Value& item : *items) {
        OrtProvider provider;
        if (const std::string* name = item.as_string()) {
            provider.name = *name;
        } else {
            const json::Value* name_value = item.find("name");
            if (name_value == nullptr) refuse_option(key, "a list of names or {name, options}");
            provider.name = read_text(key, *name_value);
            if (const json::Value* options = item.find("options")) {
                provider.options = read_pairs(key, *options);
            }
        }
        providers.push_back(std::move(provider));
    }
    return providers;
}

}  // namespace

int OrtProvider::device_id() const {
    for (const auto& [key, value] : options) {
        if (key == "device_id")
            return std::atoi(value.c_str());  // the runtime refuses what is none
    }
    return 0;
}

const OrtProvider* OrtOptions::gpu_provider() const {
    for (const OrtProvider& provider : providers) {
        if (provider.is_on_gpu()) return &provider;
    }
    return nullptr;
}

int OrtOptions::graph_optimization_level() const {
    if (graph_optimization == "disable") return ort::kOptimizeNothing;
    if (graph_optimization == "basic") return ort::kOptimizeBasic;
    if (graph_optimization == "extended") return ort::kOptimizeExtended;
    if (graph_optimization == "all") return ort::kOptimizeAll;
    throw Error(ErrorKind::kInvalidJob, "graph_optimization '" + graph_optimization +
                                            "' is unknown; use disable, basic, extended or all");
}

std::string OrtOptions::to_json() const {
    const auto write_pairs = [](json::Writer& writer, const auto& pairs) {
        writer.begin_object();
        for (const auto& [key, value] : pairs) writer.member(key, value);
        writer.end_object();
    };
    json::Writer writer;
    writer.begin_object().member("arena", arena);
    if (!custom_op_libraries.empty()) {
        writer.key("custom_op_libraries").begin_array();
        for (const std::string& path : custom_op_libraries) {
            writer.begin_object().member("path", path);
            const std::string sha256 = remembered_sha256(path);
            if (!sha256.empty()) writer.member("sha256", sha256);  // a path, no name for the loader
            writer.end_object();
        }
        writer.end_array();
    }
    writer.member("graph_optimization", graph_optimization)
        .member("memory_pattern", memory_pattern);
    writer.key("providers").begin_array();
    for (const OrtProvider& provider : providers) {
        writer.begin_object().member("name", provider.name).key("options");
        write_pairs(writer, provider.options);
        writer.end_object();
    }
    writer.end_array().key("session_config");
    write_pairs(writer, session_config);
    writer.member("spinning", spinning).member("time_copies", time_copies).end_object();
    return writer.text();
}

OrtOptions read_ort_options(const json::Value& given) {
    OrtOptions options;
    const json::Object* object = given.as_object();
    if (object == nullptr) return options;
    for (const auto& [key, value] : *object) {
        if (key == "arena") {
            options.arena = read_flag(key, value);
        } else if (key == "custom_op_libraries") {
            options.custom_op_libraries = read_paths(key, value);
        } else if (key == "graph_optimization") {
            options.graph_optimization = read_text(key, value);
        } else if (key == "memory_pattern") {
            options.memory_pattern = read_flag(key, value);
        } else if (key == "providers") {
            options.providers = read_providers(key, value);
        } else if (key == "session_config") {
            options.session_config = read_pairs(key, value);
            for (const auto& pair : options.session_config) {
                if (pair.first == kSpinningConfig) refuse_option(key, "spinning in its own option");
            }
        } else if (key == "spinning") {
            options.spinning = read_flag(key, value);
        } else if (key == "time_copies") {
            options.time_copies = read_flag(key, value);
        } else {
            throw Error(ErrorKind::kInvalidJob,
                        "runtime option '" + key +
                            "' is unknown to onnxruntime; known: arena, custom_op_libraries, "
                            "graph_optimization, memory_pattern, providers, session_config, "
                            "spinning, time_copies");
        }
    }
    return options;
}

}  // namespace edgeprof
