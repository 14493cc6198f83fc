// ONNX Runtime through its C API.
//
// Inputs are bound once: IoBinding copies them to the provider's device at that moment, so that
// the timed run moves no data between host and device (unless "time_copies" asks for it).
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "backend.h"
#include "error.h"
#include "input_shapes.h"
#include "input_values.h"
#include "library.h"
#include "ort_api.h"
#include "ort_profile.h"

namespace edgeprof {

namespace {

// An object of the runtime that is given back by the runtime's own function.
template <class T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

const char* type_name(int element_type) {
    switch (element_type) {
        case ort::kFloat32:
            return "float32";
        case ort::kUint8:
            return "uint8";
        case ort::kInt8:
            return "int8";
        case ort::kUint16:
            return "uint16";
        case ort::kInt16:
            return "int16";
        case ort::kInt32:
            return "int32";
        case ort::kInt64:
            return "int64";
        case ort::kString:
            return "string";
        case ort::kBool:
            return "bool";
        case ort::kFloat16:
            return "float16";
        case ort::kFloat64:
            return "float64";
        case ort::kUint32:
            return "uint32";
        case ort::kUint64:
            return "uint64";
        case ort::kBfloat16:
            return "bfloat16";
        default:
            return "unknown";
    }
}

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

// The message without "Load model from PATH failed:", which ours says already.
std::string without_prefix(const std::string& message, const std::string& path) {
    const std::string prefix = "Load model from " + path + " failed:";
    return message.rfind(prefix, 0) == 0 ? message.substr(prefix.size()) : message;
}

// The library, its table and its environment; models keep it alive.
struct OrtCore {
    explicit OrtCore(const std::string& path);

    Library library;
    const ort::ApiBase* base;
    ort::Api api;
    Owned<ort::Env> env;
    std::string version;

    // Message of a failed call; releases it.
    std::string message_of(ort::Status* status) const {
        std::string message = api.GetErrorMessage(status);
        api.ReleaseStatus(status);
        return message;
    }
    // Throws Error(kind) with the runtime's message when a call failed.
    void check(ort::Status* status, ErrorKind kind, const std::string& what) const {
        if (status != nullptr) throw Error(kind, what + ": " + message_of(status));
    }
    template <class T>
    Owned<T> own(T* object, void (*release)(T*)) const {
        return Owned<T>(object, release);
    }

  private:
    static const ort::ApiBase* base_of(const Library& library);
    static const void* const* table_of(const ort::ApiBase& base, const Library& library);
};

const ort::ApiBase* OrtCore::base_of(const Library& library) {
    return library.need<const ort::ApiBase* (*)()>("OrtGetApiBase")();
}

const void* const* OrtCore::table_of(const ort::ApiBase& base, const Library& library) {
    const void* const* table = base.GetApi(ort::kApiVersion);
    if (table == nullptr) {
        throw Error(ErrorKind::kRuntimeUnavailable, library.path() + ": ONNX Runtime " +
                                                        base.GetVersionString() +
                                                        " is too old; needs 1.12 or newer");
    }
    return table;
}

// Releases >= 1.29 start telemetry threads when they are opened; another process's threads on the
// measured core are noise. Must stand in the environment before dlopen.
const std::string& without_telemetry(const std::string& path) {
    // Once: setenv is not safe beside the getenv of another job's runtime.
    static const int is_set = setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    static_cast<void>(is_set);
    return path;
}

OrtCore::OrtCore(const std::string& path)
    : library(without_telemetry(path)),
      base(base_of(library)),
      api(table_of(*base, library)),
      env(nullptr, api.ReleaseEnv),
      version(base->GetVersionString()) {
    ort::Env* created = nullptr;
    check(api.CreateEnv(ort::kLogFatal, "edgeprof", &created), ErrorKind::kRuntimeUnavailable,
          library.path());
    env.reset(created);
}

struct Provider {
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
    std::vector<Provider> providers;
    std::vector<std::pair<std::string, std::string>> session_config;

    int graph_optimization_level() const;
    bool is_on_gpu() const {
        for (const Provider& provider : providers) {
            if (provider.is_on_gpu()) return true;
        }
        return false;
    }
    std::string to_json() const;
};

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
    writer.begin_object()
        .member("arena", arena)
        .member("graph_optimization", graph_optimization)
        .member("memory_pattern", memory_pattern);
    writer.key("providers").begin_array();
    for (const Provider& provider : providers) {
        writer.begin_object().member("name", provider.name).key("options");
        write_pairs(writer, provider.options);
        writer.end_object();
    }
    writer.end_array().key("session_config");
    write_pairs(writer, session_config);
    writer.member("spinning", spinning).member("time_copies", time_copies).end_object();
    return writer.text();
}

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

std::vector<Provider> read_providers(const std::string& key, const json::Value& value) {
    const json::Array* items = value.as_array();
    if (items == nullptr) refuse_option(key, "a list of names or {name, options}");
    std::vector<Provider> providers;
    for (const json::Value& item : *items) {
        Provider provider;
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

OrtOptions read_options(const json::Value& given) {
    OrtOptions options;
    const json::Object* object = given.as_object();
    if (object == nullptr) return options;
    for (const auto& [key, value] : *object) {
        if (key == "arena") {
            options.arena = read_flag(key, value);
        } else if (key == "graph_optimization") {
            options.graph_optimization = read_text(key, value);
        } else if (key == "memory_pattern") {
            options.memory_pattern = read_flag(key, value);
        } else if (key == "providers") {
            options.providers = read_providers(key, value);
        } else if (key == "session_config") {
            options.session_config = read_pairs(key, value);
        } else if (key == "spinning") {
            options.spinning = read_flag(key, value);
        } else if (key == "time_copies") {
            options.time_copies = read_flag(key, value);
        } else {
            throw Error(ErrorKind::kInvalidJob,
                        "runtime option '" + key +
                            "' is unknown to onnxruntime; known: arena, graph_optimization, "
                            "memory_pattern, providers, session_config, spinning, time_copies");
        }
    }
    return options;
}

// Name, type and shape of an input or output; negative dimensions are not known before the run.
struct OrtTensor {
    TensorFacts facts;
    int element_type = 0;
    std::vector<std::string> symbols;  // names of dynamic dimensions, empty where there is none
};

class OrtModel final : public LoadedModel {
  public:
    // profile_prefix: where the runtime's profiler writes; empty switches it off.
    OrtModel(std::shared_ptr<const OrtCore> core, const LoadSettings& settings,
             const std::string& profile_prefix);

    bool invoke() noexcept override;
    std::string failure() const override { return failure_; }
    const std::vector<TensorFacts>& inputs() const override { return inputs_; }
    const std::vector<TensorFacts>& outputs() const override { return outputs_; }
    std::vector<std::uint8_t> output_bytes(std::size_t index) const override;
    std::string options_json() const override { return options_.to_json(); }

    // Ends profiling; returns the path of the profile.
    std::string end_profiling();

  private:
    void check(ort::Status* status, const char* what) const {
        core_->check(status, ErrorKind::kUnsupportedModel, path_ + ": " + what);
    }
    Owned<ort::SessionOptions> session_options(const LoadSettings& settings,
                                               const std::string& profile_prefix) const;
    void append_provider(ort::SessionOptions* options, const Provider& provider) const;
    void create_session(const ort::SessionOptions* options);
    OrtTensor describe(std::size_t index, bool is_input) const;
    void bind_inputs(const LoadSettings& settings);
    void bind_outputs();

    std::shared_ptr<const OrtCore> core_;
    std::string path_;
    OrtOptions options_;
    Owned<ort::Session> session_;
    Owned<ort::IoBinding> binding_;
    Owned<ort::RunOptions> run_options_;
    Owned<ort::MemoryInfo> host_memory_;
    std::vector<std::vector<std::uint64_t>> input_data_;  // 64-bit units: aligned for every type
    std::vector<Owned<ort::Value>> input_values_;
    std::vector<TensorFacts> inputs_;
    std::vector<TensorFacts> outputs_;
    bool is_on_gpu_;
    std::string failure_;
};

OrtModel::OrtModel(std::shared_ptr<const OrtCore> core, const LoadSettings& settings,
                   const std::string& profile_prefix)
    : core_(std::move(core)),
      path_(settings.model_path),
      options_(read_options(settings.options)),
      session_(nullptr, core_->api.ReleaseSession),
      binding_(nullptr, core_->api.ReleaseIoBinding),
      run_options_(nullptr, core_->api.ReleaseRunOptions),
      host_memory_(nullptr, core_->api.ReleaseMemoryInfo),
      is_on_gpu_(options_.is_on_gpu()) {
    const ort::Api& api = core_->api;
    create_session(session_options(settings, profile_prefix).get());

    ort::RunOptions* run_options = nullptr;
    check(api.CreateRunOptions(&run_options), "no run options");
    run_options_.reset(run_options);
    ort::IoBinding* binding = nullptr;
    check(api.CreateIoBinding(session_.get(), &binding), "no binding");
    binding_.reset(binding);
    ort::MemoryInfo* host = nullptr;
    check(api.CreateMemoryInfo("Cpu", ort::kArenaAllocator, 0, ort::kMemoryDefault, &host),
          "no memory");
    host_memory_.reset(host);

    bind_inputs(settings);
    bind_outputs();
}

Owned<ort::SessionOptions> OrtModel::session_options(const LoadSettings& settings,
                                                     const std::string& profile_prefix) const {
    const ort::Api& api = core_->api;
    ort::SessionOptions* created = nullptr;
    check(api.CreateSessionOptions(&created), "no session options");
    Owned<ort::SessionOptions> options(created, api.ReleaseSessionOptions);
    ort::SessionOptions* o = options.get();

    check(api.SetSessionLogSeverityLevel(o, ort::kLogFatal), "log level");
    check(api.SetIntraOpNumThreads(o, settings.threads), "threads");
    check(api.SetInterOpNumThreads(o, 1), "threads");
    check(api.SetSessionGraphOptimizationLevel(o, options_.graph_optimization_level()),
          "graph optimisation");
    check(options_.arena ? api.EnableCpuMemArena(o) : api.DisableCpuMemArena(o), "arena");
    check(options_.memory_pattern ? api.EnableMemPattern(o) : api.DisableMemPattern(o),
          "memory pattern");
    check(api.AddSessionConfigEntry(o, "session.intra_op.allow_spinning",
                                    options_.spinning ? "1" : "0"),
          "spinning");
    for (const auto& [key, value] : options_.session_config) {
        core_->check(api.AddSessionConfigEntry(o, key.c_str(), value.c_str()),
                     ErrorKind::kInvalidJob, "session_config '" + key + "'");
    }
    if (!profile_prefix.empty()) check(api.EnableProfiling(o, profile_prefix.c_str()), "profiler");
    for (const Provider& provider : options_.providers) append_provider(o, provider);
    return options;
}

void OrtModel::append_provider(ort::SessionOptions* options, const Provider& provider) const {
    if (provider.name == "CPU" || provider.name == "CPUExecutionProvider") return;  // always last
    const ort::Api& api = core_->api;
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : provider.options) {
        keys.push_back(key.c_str());
        values.push_back(value.c_str());
    }
    const std::string what = core_->library.path() + ": execution provider '" + provider.name + "'";
    const auto need = [&](ort::Status* status) {
        core_->check(status, ErrorKind::kRuntimeUnavailable, what);
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
            core_->library.find<AppendAcl>("OrtSessionOptionsAppendExecutionProvider_ACL");
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

void OrtModel::create_session(const ort::SessionOptions* options) {
    const ort::Api& api = core_->api;
    ort::Session* created = nullptr;
    ort::Status* status = api.CreateSession(core_->env.get(), path_.c_str(), options, &created);
    if (status == nullptr) {
        session_.reset(created);
        return;
    }
    const int code = api.GetErrorCode(status);
    const std::string message = without_prefix(core_->message_of(status), path_);
    const std::string where = path_ + ": ";
    const std::string runtime = "ONNX Runtime " + core_->version;
    if (code == ort::kInvalidProtobuf || contains(message, "No graph was found")) {
        throw Error(ErrorKind::kInvalidModel, where + "is no ONNX model, or a truncated one");
    }
    if (contains(message, "No Op registered") ||
        contains(message, "not a registered function/op") || code == ort::kNotImplemented) {
        throw Error(ErrorKind::kUnsupportedModel,
                    where + runtime + " lacks an operator of this model: " + message);
    }
    if (contains(message, "ValidateOpsetForDomain") || contains(message, "IR version") ||
        contains(message, "ir_version")) {
        throw Error(ErrorKind::kUnsupportedModel,
                    where + "was made for a newer runtime than " + runtime + ": " + message);
    }
    throw Error(ErrorKind::kInvalidModel, where + runtime + " refuses it: " + message);
}

OrtTensor OrtModel::describe(std::size_t index, bool is_input) const {
    const ort::Api& api = core_->api;
    const ort::Session* session = session_.get();
    ort::Allocator* allocator = nullptr;  // the runtime's own, not ours to release
    check(api.GetAllocatorWithDefaultOptions(&allocator), "no allocator");
    char* name = nullptr;
    check(is_input ? api.SessionGetInputName(session, index, allocator, &name)
                   : api.SessionGetOutputName(session, index, allocator, &name),
          "no name");
    OrtTensor tensor;
    tensor.facts.name = name;
    check(api.AllocatorFree(allocator, name), "no memory");

    ort::TypeInfo* created = nullptr;
    check(is_input ? api.SessionGetInputTypeInfo(session, index, &created)
                   : api.SessionGetOutputTypeInfo(session, index, &created),
          "no type");
    const Owned<ort::TypeInfo> type(created, api.ReleaseTypeInfo);
    int onnx_type = 0;
    check(api.GetOnnxTypeFromTypeInfo(type.get(), &onnx_type), "no type");
    if (onnx_type != ort::kTypeTensor) {
        tensor.facts.type = "no tensor";
        return tensor;
    }
    const ort::TensorInfo* info = nullptr;
    check(api.CastTypeInfoToTensorInfo(type.get(), &info), "no tensor");
    check(api.GetTensorElementType(info, &tensor.element_type), "no element type");
    tensor.facts.type = type_name(tensor.element_type);
    std::size_t rank = 0;
    check(api.GetDimensionsCount(info, &rank), "no shape");
    tensor.facts.shape.resize(rank);
    std::vector<const char*> symbols(rank, "");
    check(api.GetDimensions(info, tensor.facts.shape.data(), rank), "no shape");
    check(api.GetSymbolicDimensions(info, symbols.data(), rank), "no shape");
    tensor.symbols.assign(symbols.begin(), symbols.end());
    return tensor;
}

void OrtModel::bind_inputs(const LoadSettings& settings) {
    const ort::Api& api = core_->api;
    std::size_t n_inputs = 0;
    check(api.SessionGetInputCount(session_.get(), &n_inputs), "no inputs");
    for (std::size_t i = 0; i < n_inputs; ++i) {
        OrtTensor tensor = describe(i, true);
        tensor.facts.shape = shape_to_feed(tensor.facts, tensor.symbols, settings);
        std::size_t n_elements = 1;
        for (const std::int64_t n : tensor.facts.shape) n_elements *= static_cast<std::size_t>(n);
        const std::size_t n_bytes = n_elements * bytes_per_element(tensor.facts.type);
        input_data_.emplace_back((n_bytes + 7) / 8);
        void* data = input_data_.back().data();
        fill_input(data, n_elements, tensor.facts.type, settings.seed, i);

        ort::Value* value = nullptr;
        check(api.CreateTensorWithDataAsOrtValue(
                  host_memory_.get(), data, n_bytes, tensor.facts.shape.data(),
                  tensor.facts.shape.size(), tensor.element_type, &value),
              "an input cannot be made");
        input_values_.emplace_back(value, api.ReleaseValue);
        check(api.BindInput(binding_.get(), tensor.facts.name.c_str(), value),
              "an input cannot be bound");
        inputs_.push_back(std::move(tensor.facts));
    }
    refuse_unknown_inputs(inputs_, settings);
}

void OrtModel::bind_outputs() {
    const ort::Api& api = core_->api;
    std::size_t n_outputs = 0;
    check(api.SessionGetOutputCount(session_.get(), &n_outputs), "no outputs");
    // Outputs stay where they are computed: on the provider's device unless copies are timed.
    Owned<ort::MemoryInfo> device(nullptr, api.ReleaseMemoryInfo);
    const ort::MemoryInfo* memory = host_memory_.get();
    if (is_on_gpu_ && !options_.time_copies) {
        ort::MemoryInfo* created = nullptr;
        check(api.CreateMemoryInfo("Cuda", ort::kArenaAllocator, 0, ort::kMemoryDefault, &created),
              "no device memory");
        device.reset(created);
        memory = device.get();
    }
    for (std::size_t i = 0; i < n_outputs; ++i) {
        OrtTensor tensor = describe(i, false);
        check(api.BindOutputToDevice(binding_.get(), tensor.facts.name.c_str(), memory),
              "an output cannot be bound");
        outputs_.push_back(std::move(tensor.facts));
    }
}

std::vector<std::uint8_t> OrtModel::output_bytes(std::size_t index) const {
    const ort::Api& api = core_->api;
    if (is_on_gpu_ && !options_.time_copies) {
        throw Error(ErrorKind::kUnsupportedModel,
                    path_ + ": its outputs stay on the GPU; set time_copies to have them");
    }
    ort::Allocator* allocator = nullptr;  // the runtime's own, not ours to release
    check(api.GetAllocatorWithDefaultOptions(&allocator), "no allocator");
    ort::Value** values = nullptr;
    std::size_t n_values = 0;
    check(api.GetBoundOutputValues(binding_.get(), allocator, &values, &n_values), "no outputs");
    std::vector<Owned<ort::Value>> owned;
    for (std::size_t i = 0; i < n_values; ++i) {
        owned.push_back(core_->own(values[i], api.ReleaseValue));
    }
    check(api.AllocatorFree(allocator, values), "no memory");

    ort::TensorInfo* created = nullptr;
    check(api.GetTensorTypeAndShape(owned.at(index).get(), &created), "no shape of an output");
    const Owned<ort::TensorInfo> info(created, api.ReleaseTensorTypeAndShapeInfo);
    std::size_t n_elements = 0;
    check(api.GetTensorShapeElementCount(info.get(), &n_elements), "no shape of an output");
    void* data = nullptr;
    check(api.GetTensorMutableData(owned.at(index).get(), &data), "no data of an output");
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    return {bytes, bytes + n_elements * bytes_per_element(outputs_.at(index).type)};
}

bool OrtModel::invoke() noexcept {
    const ort::Api& api = core_->api;
    ort::Status* status = nullptr;
    if (is_on_gpu_ && options_.time_copies) {
        for (std::size_t i = 0; status == nullptr && i < inputs_.size(); ++i) {
            status = api.BindInput(binding_.get(), inputs_[i].name.c_str(), input_values_[i].get());
        }
    }
    if (status == nullptr) {
        status = api.RunWithBinding(session_.get(), run_options_.get(), binding_.get());
    }
    if (status == nullptr && is_on_gpu_) status = api.SynchronizeBoundOutputs(binding_.get());
    if (status == nullptr) return true;
    failure_ = core_->message_of(status);
    return false;
}

std::string OrtModel::end_profiling() {
    const ort::Api& api = core_->api;
    ort::Allocator* allocator = nullptr;
    check(api.GetAllocatorWithDefaultOptions(&allocator), "no allocator");
    char* name = nullptr;
    check(api.SessionEndProfiling(session_.get(), allocator, &name), "no profile");
    const std::string path = name;
    check(api.AllocatorFree(allocator, name), "no memory");
    return path;
}

class OrtRuntime final : public Runtime {
  public:
    explicit OrtRuntime(const std::string& path)
        : core_(std::make_shared<const OrtCore>(path)),
          facts_{"onnxruntime", core_->version, core_->library.path()} {}

    const RuntimeFacts& facts() const override { return facts_; }
    std::unique_ptr<LoadedModel> load(const LoadSettings& settings) override {
        return std::make_unique<OrtModel>(core_, settings, "");
    }
    bool has_profiler() const override { return true; }
    std::vector<OperatorTime> profile(const LoadSettings& settings, std::size_t n_runs) override;

  private:
    std::shared_ptr<const OrtCore> core_;
    RuntimeFacts facts_;
};

constexpr std::size_t kProfileWarmups = 3;  // the profiler is on from the session's start

std::vector<OperatorTime> OrtRuntime::profile(const LoadSettings& settings, std::size_t n_runs) {
    const char* folder = std::getenv("TMPDIR");
    std::string prefix = std::string(folder != nullptr ? folder : "/tmp") + "/edgeprof-XXXXXX";
    const int reserved = mkstemp(prefix.data());  // a name that nobody else has
    if (reserved < 0) {
        throw Error(ErrorKind::kOutputError, prefix + ": no place for the runtime's profile");
    }
    close(reserved);
    std::string path;
    std::vector<OperatorTime> operators;
    {
        OrtModel model(core_, settings, prefix);
        for (std::size_t i = 0; i < kProfileWarmups + n_runs; ++i) {
            if (model.invoke()) continue;
            unlink(prefix.c_str());
            throw Error(ErrorKind::kUnsupportedModel, model.failure());
        }
        path = model.end_profiling();
    }
    try {
        std::ifstream file(path);
        const std::string text{std::istreambuf_iterator<char>(file),
                               std::istreambuf_iterator<char>()};
        operators = parse_ort_profile(text, kProfileWarmups, n_runs);
    } catch (const json::ParseError& error) {
        unlink(prefix.c_str());
        throw Error(ErrorKind::kUnsupportedModel,
                    path + ": the profile cannot be read: " + error.what());
    }
    unlink(path.c_str());
    unlink(prefix.c_str());
    return operators;
}

}  // namespace

std::unique_ptr<Runtime> open_onnxruntime(const std::string& library_path) {
    return std::make_unique<OrtRuntime>(library_path);
}

}  // namespace edgeprof
