// What a job may set of ONNX Runtime.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace edgeprof {

// The entry of the session that "spinning" stands for.
constexpr const char* kSpinningConfig = "session.intra_op.allow_spinning";

// An execution provider and its own options.
struct OrtProvider {
    std::string name;
    std::vector<std::pair<std::string, std::string>> options;

    bool is_cuda() const { return name == "CUDA" || name == "CUDAExecutionProvider"; }
    bool is_tensorrt() const { return name == "TensorRT" || name == "TensorrtExecutionProvider"; }
    bool is_on_gpu() const { return is_cuda() || is_tensorrt(); }
    // Of its option "device_id"; 0 is the default of all of them.
    int device_id() const;
};

// What a job may set, with ONNX Runtime's own defaults: they are what a deployment gets.
struct OrtOptions {
    std::string graph_optimization = "all";
    bool arena = true;
    bool memory_pattern = true;
    bool spinning = true;
    bool time_copies = false;
    std::vector<OrtProvider> providers;
    std::vector<std::string> custom_op_libraries;  // paths
    std::vector<std::pair<std::string, std::string>> session_config;

    int graph_optimization_level() const;
    // The provider that computes on a GPU; of several, the first is asked first. nullptr: none.
    const OrtProvider* gpu_provider() const;
    std::string to_json() const;
};

// Reads the job's "runtime_options". Throws Error(kInvalidJob), naming the option.
OrtOptions read_ort_options(const json::Value& given);

}  // namespace edgeprof
