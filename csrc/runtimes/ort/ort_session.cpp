#include "runtimes/ort/ort_session.h"

#include "base/error.h"

namespace edgeprof {

namespace {

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

// The message without "Load model from PATH failed:", which ours says already.
std::string without_prefix(const std::string& message, const std::string& path) {
    const std::string prefix = "Load model from " + path + " failed:";
    return message.rfind(prefix, 0) == 0 ? message.substr(prefix.size()) : message;
}

void append_provider(const OrtCore& core, ort::SessionOptions* options,
                     const OrtProvider& provider) {
    if (provider.name == "CPU" || provider.name == "CPUExecutionProvider") return;  // always last
    const ort::Api& api = core.api;
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : provider.options) {
        keys.push_back(key.c_str());
        values.push_back(value.c_str());
    }
    const std::string what = core.library.path() + ": execution provider '" + provider.name + "'";
    const auto need = [&](ort::Status* status) {
        core.check(status, ErrorKind::kRuntimeUnavailable, what);
    };
    if (provider.is_cuda()) {
        ort::CudaOptions* created = nullptr;
        need(api.CreateCUDAProviderOptions(&created));
        Owned<ort::CudaOptions> cuda(created, api.ReleaseCUDAProviderOptions);
        need(api.UpdateCUDAProviderOptions(cuda.get(), keys.data(), values.data(), keys.size()));
        need(api.SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda.get()));
    } else if (provider.is_tensorrt()) {
        ort::TensorRtOptions* created = nullptr;
        need(api.CreateTensorRTProviderOptions(&created));
        Owned<ort::TensorRtOptions> tensorrt(created, api.ReleaseTensorRTProviderOptions);
        need(api.UpdateTensorRTProviderOptions(tensorrt.get(), keys.data(), values.data(),
                                               keys.size()));
        need(api.SessionOptionsAppendExecutionProvider_TensorRT_V2(options, tensorrt.get()));
    } else if (provider.name == "ACL" || provider.name == "ACLExecutionProvider") {
        // The Arm Compute Library provider is not in the table; builds with it export a function,
        // whose only argument has another meaning from release to release: its default is passed.
        if (!provider.options.empty()) {
            throw Error(ErrorKind::kInvalidJob, what + " takes no options here");
        }
        using AppendAcl = ort::Status* (*)(ort::SessionOptions*, int);
        const auto append =
            core.library.find<AppendAcl>("OrtSessionOptionsAppendExecutionProvider_ACL");
        if (append == nullptr) {
            throw Error(ErrorKind::kRuntimeUnavailable,
                        what + ": not in this build of the library");
        }
        need(append(options, 0));
    } else {
        need(api.SessionOptionsAppendExecutionProvider(options, provider.name.c_str(), keys.data(),
                                                       values.data(), keys.size()));
    }
}

Owned<ort::SessionOptions> session_options(const OrtCore& core, const LoadSettings& settings,
                                           const OrtOptions& options,
                                           const std::string& profile_prefix) {
    const auto check = [&](ort::Status* status, const char* what) {
        core.check(status, ErrorKind::kUnsupportedModel, settings.model_path + ": " + what);
    };
    const ort::Api& api = core.api;
    ort::SessionOptions* created = nullptr;
    check(api.CreateSessionOptions(&created), "no session options");
    Owned<ort::SessionOptions> made(created, api.ReleaseSessionOptions);
    ort::SessionOptions* o = made.get();

    check(api.SetSessionLogSeverityLevel(o, ort::kLogFatal), "log level");
    check(api.SetIntraOpNumThreads(o, settings.threads), "threads");
    check(api.SetInterOpNumThreads(o, 1), "threads");
    check(api.SetSessionGraphOptimizationLevel(o, options.graph_optimization_level()),
          "graph optimisation");
    check(options.arena ? api.EnableCpuMemArena(o) : api.DisableCpuMemArena(o), "arena");
    check(options.memory_pattern ? api.EnableMemPattern(o) : api.DisableMemPattern(o),
          "memory pattern");
    for (const auto& [key, value] : options.session_config) {
        core.check(api.AddSessionConfigEntry(o, key.c_str(), value.c_str()), ErrorKind::kInvalidJob,
                   "session_config '" + key + "'");
    }
    if (!profile_prefix.empty()) check(api.EnableProfiling(o, profile_prefix.c_str()), "profiler");
    for (const std::string& path : options.custom_op_libraries) {
        void* handle = nullptr;  // never closed, as the runtime's own library
        core.check(api.RegisterCustomOpsLibrary(o, path.c_str(), &handle), ErrorKind::kInvalidJob,
                   path + ": is no library of custom operators");
    }
    for (const OrtProvider& provider : options.providers) append_provider(core, o, provider);
    // After the providers: in some releases XNNPACK switches it off, unseen.
    check(api.AddSessionConfigEntry(o, kSpinningConfig, options.spinning ? "1" : "0"), "spinning");
    return made;
}

// Tells what kept the runtime from loading a model; releases the status.
[[noreturn]] void refuse_model(const OrtCore& core, const std::string& path, ort::Status* status) {
    const ort::Api& api = core.api;
    const int code = api.GetErrorCode(status);
    const std::string message = without_prefix(core.message_of(status), path);
    const std::string where = path + ": ";
    const std::string runtime = "ONNX Runtime " + core.version;
    if (code == ort::kInvalidProtobuf || contains(message, "No graph was found")) {
        throw Error(ErrorKind::kInvalidModel, where + "is no ONNX model, or a truncated one");
    }
    if (contains(message, "No Op registered") ||
        contains(message, "not a registered function/op") || code == ort::kNotImplemented) {
        throw Error(ErrorKind::kUnsupportedModel,
                    where + runtime + " lacks an operator of this model: " + message +
                        "; a library that has it can be named by the option custom_op_libraries");
    }
    if (contains(message, "ValidateOpsetForDomain") || contains(message, "IR version") ||
        contains(message, "ir_version")) {
        throw Error(ErrorKind::kUnsupportedModel,
                    where + "was made for a newer runtime than " + runtime + ": " + message);
    }
    throw Error(ErrorKind::kInvalidModel, where + runtime + " refuses it: " + message);
}

}  // namespace

Owned<ort::Session> create_ort_session(const OrtCore& core, const LoadSettings& settings,
                                       const OrtOptions& options,
                                       const std::string& profile_prefix) {
    const ort::Api& api = core.api;
    const Owned<ort::SessionOptions> made =
        session_options(core, settings, options, profile_prefix);
    ort::Session* created = nullptr;
    ort::Status* status =
        api.CreateSession(core.env.get(), settings.model_path.c_str(), made.get(), &created);
    if (status != nullptr) refuse_model(core, settings.model_path, status);
    return {created, api.ReleaseSession};
}

}  // namespace edgeprof
