// What a job may set of ONNX Runtime.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "json.h"

namespace edgeprof {

// An execution provider and its own options.
struct OrtProvider {
    std::string name;
    std::vector<std::pair<std::string, std::string>> options;

    bool is_cuda() const { return name == "CUDA" || name == "CUDAExecutionProvider"; }
    bool is_tensorrt() const { return name == "TensorRT" || name == "TensorrtExecutionProvider"; }
    bool is_on_gpu() const { return is_cuda() || is_tensorrt(); }
};

// What a job may set, with ONNX Runtime's own defaults: they are what a deployment gets.
struct OrtOptions {
    std::string graph_optimization = "all";
    bool arena = true;
    bool memory_pattern = true;
    bool spinning = true;
    bool time_copies = false;
    std::vector<OrtProvider> providers;
    std::vector<std::pair<std::string, std::string>> session_config;

    int graph_optimization_level() const;
    bool is_on_gpu() const {
        for (const OrtProvider& provider : providers) {
            if (provider.is_on_gpu()) return true;
        }
        return false;
    }
    std::string to_json() const;
};

// Reads the job's "runtime_options". Throws Error(kInvalidJob), naming the option.
OrtOptions read_ort_options(const json::Value& given);

}  // namespace edgeprof
