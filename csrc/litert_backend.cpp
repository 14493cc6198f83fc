// LiteRT (ai-edge-litert's libLiteRt.so) through its C API.
//
// The API has no header in the wheels and drifts from release to release; what is needed is found
// symbol by symbol. Known drift, releases 2.1.0 to 2.3.0:
//   - LiteRtCreateModelFromFile takes the environment first from 2.1.6 on, the release in which
//     LiteRtCreateModelFromFd appears;
//   - CPU options are set by LiteRtSetCpuOptionsNumThread up to 2.1.2, later by a TOML text under
//     the identifier "xnnpack";
//   - LiteRtGetStatusString is gone in 2.1.6;
//   - the profiler is switched on by a TOML text as well: not up to 2.1.2.
#include <glob.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "backend.h"
#include "error.h"
#include "input_shapes.h"
#include "input_values.h"
#include "library.h"
#include "litert_profile.h"
#include "tflite_types.h"

namespace edgeprof {

namespace {

// The C API's types, as far as they are used here.
namespace litert {

using Status = int;
constexpr Status kOk = 0;
constexpr Status kNotFound = 6;
constexpr Status kFileIo = 500;
constexpr Status kInvalidFlatbuffer = 501;

constexpr int kCpu = 1;                       // LiteRtHwAccelerators
constexpr int kLockRead = 0, kLockWrite = 1;  // LiteRtTensorBufferLockMode

struct EnvironmentT;
struct ModelT;
struct OptionsT;
struct OpaqueOptionsT;
struct CpuOptionsT;
struct CompiledModelT;
struct SignatureT;
struct TensorT;
struct RequirementsT;
struct BufferT;
struct ProfilerT;

// LiteRtLayout. The first word holds the rank in the low 7 bits and a flag above.
struct Layout {
    std::uint32_t rank_and_flag;
    std::int32_t dimensions[8];
    std::uint32_t strides[8];

    std::size_t rank() const { return rank_and_flag & 0x7fU; }
    bool is_dynamic() const {
        return std::any_of(dimensions, dimensions + rank(), [](std::int32_t n) { return n < 0; });
    }
};

// LiteRtRankedTensorType.
struct TensorType {
    std::int32_t element_type;
    Layout layout;
};
static_assert(sizeof(TensorType) == 72, "LiteRtRankedTensorType has 72 bytes");

struct Api {
    explicit Api(const Library& library);

    bool model_takes_environment;
    const char* (*status_string)(Status);  // may be missing
    Status (*create_environment)(int, const void*, EnvironmentT**);
    void (*destroy_environment)(EnvironmentT*);
    void* create_model_from_file;  // see load_model
    void (*destroy_model)(ModelT*);
    Status (*create_options)(OptionsT**);
    void (*destroy_options)(OptionsT*);
    Status (*set_accelerators)(OptionsT*, int);
    Status (*add_opaque_options)(OptionsT*, OpaqueOptionsT*);
    Status (*create_opaque_options)(const char*, void*, void (*)(void*), OpaqueOptionsT**);
    Status (*create_cpu_options)(OpaqueOptionsT**);              // up to 2.1.2
    Status (*find_cpu_options)(OpaqueOptionsT*, CpuOptionsT**);  // up to 2.1.2
    Status (*set_cpu_threads)(CpuOptionsT*, int);                // up to 2.1.2
    Status (*create_compiled_model)(EnvironmentT*, ModelT*, OptionsT*, CompiledModelT**);
    void (*destroy_compiled_model)(CompiledModelT*);
    Status (*is_fully_accelerated)(CompiledModelT*, bool*);  // may be missing
    Status (*resize_input)(CompiledModelT*, std::size_t, std::size_t, const int*, std::size_t);
    Status (*output_layouts)(CompiledModelT*, std::size_t, std::size_t, Layout*, bool);
    Status (*get_signature)(ModelT*, std::size_t, SignatureT**);
    Status (*count_inputs)(SignatureT*, std::size_t*);
    Status (*count_outputs)(SignatureT*, std::size_t*);
    Status (*input_name)(SignatureT*, std::size_t, const char**);
    Status (*output_name)(SignatureT*, std::size_t, const char**);
    Status (*input_tensor)(SignatureT*, std::size_t, TensorT**);
    Status (*output_tensor)(SignatureT*, std::size_t, TensorT**);
    Status (*tensor_type)(TensorT*, TensorType*);
    Status (*input_requirements)(CompiledModelT*, std::size_t, std::size_t, RequirementsT**);
    Status (*output_requirements)(CompiledModelT*, std::size_t, std::size_t, RequirementsT**);
    Status (*create_buffer)(EnvironmentT*, const TensorType*, RequirementsT*, BufferT**);
    void (*destroy_buffer)(BufferT*);
    Status (*buffer_bytes)(BufferT*, std::size_t*);
    Status (*lock_buffer)(BufferT*, void**, int);
    Status (*unlock_buffer)(BufferT*);
    Status (*get_profiler)(CompiledModelT*, ProfilerT**);  // these may be missing
    Status (*start_profiler)(ProfilerT*);
    Status (*stop_profiler)(ProfilerT*);
    Status (*count_events)(ProfilerT*, int*);
    Status (*get_events)(ProfilerT*, int, LiteRtEvent*);
    bool has_profiler() const {
        return set_cpu_threads == nullptr && get_profiler != nullptr && start_profiler != nullptr &&
               stop_profiler != nullptr && count_events != nullptr && get_events != nullptr;
    }
    Status (*run)(CompiledModelT*, std::size_t, std::size_t, BufferT**, std::size_t, BufferT**);
};

template <class Function>
void find(const Library& library, const char* symbol, Function& target) {
    target = library.find<Function>(symbol);
}
template <class Function>
void need(const Library& library, const char* symbol, Function& target) {
    target = library.need<Function>(symbol);
}

Api::Api(const Library& library) {
    model_takes_environment = library.find<void*>("LiteRtCreateModelFromFd") != nullptr;
    find(library, "LiteRtGetStatusString", status_string);
    need(library, "LiteRtCreateEnvironment", create_environment);
    need(library, "LiteRtDestroyEnvironment", destroy_environment);
    need(library, "LiteRtCreateModelFromFile", create_model_from_file);
    need(library, "LiteRtDestroyModel", destroy_model);
    need(library, "LiteRtCreateOptions", create_options);
    need(library, "LiteRtDestroyOptions", destroy_options);
    need(library, "LiteRtSetOptionsHardwareAccelerators", set_accelerators);
    need(library, "LiteRtAddOpaqueOptions", add_opaque_options);
    need(library, "LiteRtCreateOpaqueOptions", create_opaque_options);
    find(library, "LiteRtCreateCpuOptions", create_cpu_options);
    find(library, "LiteRtFindCpuOptions", find_cpu_options);
    find(library, "LiteRtSetCpuOptionsNumThread", set_cpu_threads);
    need(library, "LiteRtCreateCompiledModel", create_compiled_model);
    find(library, "LiteRtCompiledModelGetProfiler", get_profiler);
    find(library, "LiteRtStartProfiler", start_profiler);
    find(library, "LiteRtStopProfiler", stop_profiler);
    find(library, "LiteRtGetNumProfilerEvents", count_events);
    find(library, "LiteRtGetProfilerEvents", get_events);
    need(library, "LiteRtDestroyCompiledModel", destroy_compiled_model);
    find(library, "LiteRtCompiledModelIsFullyAccelerated", is_fully_accelerated);
    need(library, "LiteRtCompiledModelResizeInputTensor", resize_input);
    need(library, "LiteRtGetCompiledModelOutputTensorLayouts", output_layouts);
    need(library, "LiteRtGetModelSignature", get_signature);
    need(library, "LiteRtGetNumSignatureInputs", count_inputs);
    need(library, "LiteRtGetNumSignatureOutputs", count_outputs);
    need(library, "LiteRtGetSignatureInputName", input_name);
    need(library, "LiteRtGetSignatureOutputName", output_name);
    need(library, "LiteRtGetSignatureInputTensorByIndex", input_tensor);
    need(library, "LiteRtGetSignatureOutputTensorByIndex", output_tensor);
    need(library, "LiteRtGetRankedTensorType", tensor_type);
    need(library, "LiteRtGetCompiledModelInputBufferRequirements", input_requirements);
    need(library, "LiteRtGetCompiledModelOutputBufferRequirements", output_requirements);
    need(library, "LiteRtCreateManagedTensorBufferFromRequirements", create_buffer);
    need(library, "LiteRtDestroyTensorBuffer", destroy_buffer);
    need(library, "LiteRtGetTensorBufferPackedSize", buffer_bytes);
    need(library, "LiteRtLockTensorBuffer", lock_buffer);
    need(library, "LiteRtUnlockTensorBuffer", unlock_buffer);
    need(library, "LiteRtRunCompiledModel", run);
}

}  // namespace litert

// An object of the runtime that is given back by the runtime's own function.
template <class T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

constexpr std::size_t kSignature = 0;

// The library does not say its version; the wheel it came with does, by the name of the folder
// beside its own. Empty where there is none.
std::string version_beside(const std::string& library_path) {
    const std::string marker = "ai_edge_litert-";
    const std::string pattern =
        library_path.substr(0, library_path.rfind('/') + 1) + "../" + marker + "*.dist-info";
    glob_t found{};
    std::string version;
    if (glob(pattern.c_str(), 0, nullptr, &found) == 0 && found.gl_pathc == 1) {
        const std::string path = found.gl_pathv[0];
        const std::size_t begin = path.rfind(marker) + marker.size();
        version = path.substr(begin, path.rfind(".dist-info") - begin);
    }
    globfree(&found);
    return version;
}

// The library and its environment; models keep it alive.
struct LiteRtCore {
    explicit LiteRtCore(const std::string& path)
        : library(path), api(library), environment(nullptr, api.destroy_environment) {
        litert::EnvironmentT* created = nullptr;
        check(api.create_environment(0, nullptr, &created), ErrorKind::kRuntimeUnavailable,
              library.path() + ": no environment");
        environment.reset(created);
    }

    void check(litert::Status status, ErrorKind kind, const std::string& what) const {
        if (status != litert::kOk) throw Error(kind, what + ": " + text_of(status));
    }
    std::string text_of(litert::Status status) const {
        const std::string number = "LiteRT status " + std::to_string(status);
        if (api.status_string == nullptr) return number;
        const char* text = api.status_string(status);
        return text == nullptr ? number : number + " (" + text + ")";
    }

    Library library;
    litert::Api api;
    Owned<litert::EnvironmentT> environment;
};

struct LiteRtOptions {
    std::string kernel_mode = "xnnpack";
};

LiteRtOptions read_options(const json::Value& given) {
    LiteRtOptions options;
    const json::Object* object = given.as_object();
    if (object == nullptr) return options;
    for (const auto& [key, value] : *object) {
        const std::string* text = value.as_string();
        if (key != "kernel_mode") {
            throw Error(ErrorKind::kInvalidJob,
                        "runtime option '" + key + "' is unknown to litert; known: kernel_mode");
        }
        if (text == nullptr || (*text != "xnnpack" && *text != "builtin" && *text != "reference")) {
            throw Error(ErrorKind::kInvalidJob,
                        "runtime option 'kernel_mode': expected xnnpack, builtin or reference");
        }
        options.kernel_mode = *text;
    }
    return options;
}

class LiteRtModel final : public LoadedModel {
  public:
    LiteRtModel(std::shared_ptr<const LiteRtCore> core, const LoadSettings& settings,
                bool is_profiled)
        : core_(std::move(core)),
          path_(settings.model_path),
          threads_(settings.threads),
          options_(read_options(settings.options)),
          is_profiled_(is_profiled),
          model_(nullptr, core_->api.destroy_model),
          compiled_(nullptr, core_->api.destroy_compiled_model) {
        load_model();
        compile();
        bind(settings);
    }

    bool invoke() noexcept override {
        status_ = core_->api.run(compiled_.get(), kSignature, raw_inputs_.size(),
                                 raw_inputs_.data(), raw_outputs_.size(), raw_outputs_.data());
        return status_ == litert::kOk;
    }
    std::string failure() const override { return core_->text_of(status_); }
    const std::vector<TensorFacts>& inputs() const override { return inputs_; }
    const std::vector<TensorFacts>& outputs() const override { return outputs_; }
    std::vector<std::uint8_t> output_bytes(std::size_t index) const override;
    std::string options_json() const override;

    // Of a model loaded with is_profiled.
    std::vector<OperatorTime> profile(std::size_t n_runs);

  private:
    void invoke_or_throw() {
        if (!invoke()) throw Error(ErrorKind::kUnsupportedModel, path_ + ": " + failure());
    }
    void load_model();
    void compile();
    litert::OpaqueOptionsT* make_cpu_options() const;
    litert::OpaqueOptionsT* make_toml_options(const char* identifier,
                                              const std::string& toml) const;
    void bind(const LoadSettings& settings);
    void bind_outputs(std::size_t n_outputs);
    litert::TensorType describe(std::size_t index, bool is_input, TensorFacts& facts) const;
    void resize(std::size_t index, litert::TensorType& type, const TensorFacts& facts);
    litert::BufferT* make_buffer(std::size_t index, bool is_input, const litert::TensorType& type);
    void fill(litert::BufferT* buffer, const TensorFacts& facts, std::uint64_t seed,
              std::size_t index) const;

    // Throws kInvalidModel.
    void check(litert::Status status, const std::string& what) const {
        core_->check(status, ErrorKind::kInvalidModel, path_ + ": " + what);
    }

    std::shared_ptr<const LiteRtCore> core_;
    std::string path_;
    int threads_;
    LiteRtOptions options_;
    bool is_profiled_;
    Owned<litert::ModelT> model_;
    Owned<litert::CompiledModelT> compiled_;
    litert::SignatureT* signature_ = nullptr;  // the model's
    std::vector<Owned<litert::BufferT>> buffers_;
    std::vector<litert::BufferT*> raw_inputs_, raw_outputs_;
    std::vector<TensorFacts> inputs_, outputs_;
    litert::Status status_ = litert::kOk;
};

void LiteRtModel::load_model() {
    const litert::Api& api = core_->api;
    litert::ModelT* created = nullptr;
    litert::Status status;
    if (api.model_takes_environment) {
        using Create = litert::Status (*)(litert::EnvironmentT*, const char*, litert::ModelT**);
        status = reinterpret_cast<Create>(api.create_model_from_file)(core_->environment.get(),
                                                                      path_.c_str(), &created);
    } else {
        using Create = litert::Status (*)(const char*, litert::ModelT**);
        status = reinterpret_cast<Create>(api.create_model_from_file)(path_.c_str(), &created);
    }
    if (status == litert::kInvalidFlatbuffer || status == litert::kFileIo) {
        throw Error(ErrorKind::kInvalidModel, path_ + ": is no TFLite model, or a truncated one");
    }
    check(status, "cannot be read");
    model_.reset(created);
}

litert::OpaqueOptionsT* LiteRtModel::make_cpu_options() const {
    const litert::Api& api = core_->api;
    litert::OpaqueOptionsT* opaque = nullptr;
    if (api.set_cpu_threads != nullptr && api.create_cpu_options != nullptr) {
        if (options_.kernel_mode != "xnnpack") {
            throw Error(ErrorKind::kInvalidJob,
                        "kernel_mode '" + options_.kernel_mode + "' needs LiteRT 2.1.3 or newer");
        }
        litert::CpuOptionsT* cpu = nullptr;
        check(api.create_cpu_options(&opaque), "no CPU options");
        check(api.find_cpu_options(opaque, &cpu), "no CPU options");
        check(api.set_cpu_threads(cpu, threads_), "threads cannot be set");
        return opaque;
    }
    std::string toml = "num_threads = " + std::to_string(threads_) + "\n";
    if (options_.kernel_mode != "xnnpack") {
        toml = "kernel_mode = \"" + options_.kernel_mode + "\"\n" + toml;
    }
    return make_toml_options("xnnpack", toml);
}

litert::OpaqueOptionsT* LiteRtModel::make_toml_options(const char* identifier,
                                                       const std::string& toml) const {
    litert::OpaqueOptionsT* opaque = nullptr;
    char* payload = strdup(toml.c_str());  // LiteRT gives it back with free
    check(core_->api.create_opaque_options(identifier, payload, std::free, &opaque), "no options");
    return opaque;
}

void LiteRtModel::compile() {
    const litert::Api& api = core_->api;
    litert::OptionsT* created = nullptr;
    check(api.create_options(&created), "no options");
    const Owned<litert::OptionsT> options(created, api.destroy_options);
    check(api.set_accelerators(created, litert::kCpu), "the CPU cannot be chosen");
    check(api.add_opaque_options(created, make_cpu_options()), "threads cannot be set");
    if (is_profiled_) {
        check(api.add_opaque_options(created, make_toml_options("runtime_options_string",
                                                                "enable_profiling = true\n")),
              "the profiler cannot be switched on");
    }
    litert::CompiledModelT* compiled = nullptr;
    const litert::Status status =
        api.create_compiled_model(core_->environment.get(), model_.get(), created, &compiled);
    if (status != litert::kOk) {
        throw Error(ErrorKind::kUnsupportedModel,
                    path_ + ": LiteRT cannot prepare it, perhaps for an operator it lacks: " +
                        core_->text_of(status));
    }
    compiled_.reset(compiled);
}

litert::TensorType LiteRtModel::describe(std::size_t index, bool is_input,
                                         TensorFacts& facts) const {
    const litert::Api& api = core_->api;
    const char* name = nullptr;
    litert::TensorT* tensor = nullptr;
    check((is_input ? api.input_name : api.output_name)(signature_, index, &name), "no name");
    check((is_input ? api.input_tensor : api.output_tensor)(signature_, index, &tensor),
          "no tensor");
    litert::TensorType type{};
    check(api.tensor_type(tensor, &type), "a tensor has no fixed rank");
    facts.name = name;
    facts.type = tflite_type_name(type.element_type);
    facts.shape.assign(type.layout.dimensions, type.layout.dimensions + type.layout.rank());
    return type;
}

void LiteRtModel::resize(std::size_t index, litert::TensorType& type, const TensorFacts& facts) {
    for (std::size_t i = 0; i < facts.shape.size(); ++i) {
        type.layout.dimensions[i] = static_cast<std::int32_t>(facts.shape[i]);
    }
    check(core_->api.resize_input(compiled_.get(), kSignature, index, type.layout.dimensions,
                                  facts.shape.size()),
          "input '" + facts.name + "' does not take the given shape");
}

litert::BufferT* LiteRtModel::make_buffer(std::size_t index, bool is_input,
                                          const litert::TensorType& type) {
    const litert::Api& api = core_->api;
    litert::RequirementsT* requirements = nullptr;  // the compiled model's
    check((is_input ? api.input_requirements : api.output_requirements)(compiled_.get(), kSignature,
                                                                        index, &requirements),
          "no buffer requirements");
    litert::BufferT* buffer = nullptr;
    check(api.create_buffer(core_->environment.get(), &type, requirements, &buffer), "no buffer");
    buffers_.emplace_back(buffer, api.destroy_buffer);
    return buffer;
}

std::vector<std::uint8_t> LiteRtModel::output_bytes(std::size_t index) const {
    const litert::Api& api = core_->api;
    std::size_t n_bytes = bytes_per_element(outputs_.at(index).type);
    for (const std::int64_t extent : outputs_[index].shape) {
        n_bytes *= static_cast<std::size_t>(extent);
    }
    std::size_t n_buffer_bytes = 0;  // rounded up for alignment
    void* data = nullptr;
    check(api.buffer_bytes(raw_outputs_.at(index), &n_buffer_bytes), "no buffer size");
    check(api.lock_buffer(raw_outputs_[index], &data, litert::kLockRead), "no data of an output");
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    std::vector<std::uint8_t> copy(bytes, bytes + std::min(n_bytes, n_buffer_bytes));
    check(api.unlock_buffer(raw_outputs_[index]), "no data of an output");
    return copy;
}

void LiteRtModel::fill(litert::BufferT* buffer, const TensorFacts& facts, std::uint64_t seed,
                       std::size_t index) const {
    const litert::Api& api = core_->api;
    std::size_t n_bytes = 0;
    void* data = nullptr;
    check(api.buffer_bytes(buffer, &n_bytes), "no buffer size");
    check(api.lock_buffer(buffer, &data, litert::kLockWrite), "a buffer cannot be written");
    fill_input(data, n_bytes / bytes_per_element(facts.type), facts.type, seed, index);
    check(api.unlock_buffer(buffer), "a buffer cannot be written");
}

void LiteRtModel::bind(const LoadSettings& settings) {
    const litert::Api& api = core_->api;
    check(api.get_signature(model_.get(), kSignature, &signature_), "has no signature");
    std::size_t n_inputs = 0, n_outputs = 0;
    check(api.count_inputs(signature_, &n_inputs), "no inputs");
    check(api.count_outputs(signature_, &n_outputs), "no outputs");
    std::vector<litert::TensorType> types;
    for (std::size_t i = 0; i < n_inputs; ++i) {
        TensorFacts facts;
        litert::TensorType type = describe(i, true, facts);
        const std::vector<std::int64_t> own = facts.shape;
        facts.shape = shape_to_feed(facts, {}, settings);
        if (facts.shape != own) resize(i, type, facts);
        types.push_back(type);
        inputs_.push_back(std::move(facts));
    }
    refuse_unknown_inputs(inputs_, settings);
    for (std::size_t i = 0; i < n_inputs; ++i) {
        raw_inputs_.push_back(make_buffer(i, true, types[i]));
        fill(raw_inputs_.back(), inputs_[i], settings.seed, i);
    }
    bind_outputs(n_outputs);
}

void LiteRtModel::bind_outputs(std::size_t n_outputs) {
    std::vector<litert::Layout> layouts(n_outputs);
    bool has_layouts = false;
    for (std::size_t i = 0; i < n_outputs; ++i) {
        TensorFacts facts;
        litert::TensorType type = describe(i, false, facts);
        if (type.layout.is_dynamic()) {
            // Known only now that the inputs have their shapes.
            if (!has_layouts) {
                check(core_->api.output_layouts(compiled_.get(), kSignature, n_outputs,
                                                layouts.data(), true),
                      "its outputs' shapes cannot be known before it runs");
                has_layouts = true;
            }
            type.layout = layouts[i];
            facts.shape.assign(type.layout.dimensions, type.layout.dimensions + type.layout.rank());
        }
        raw_outputs_.push_back(make_buffer(i, false, type));
        outputs_.push_back(std::move(facts));
    }
}

std::string LiteRtModel::options_json() const {
    json::Writer writer;
    writer.begin_object();
    bool is_full = false;
    if (core_->api.is_fully_accelerated != nullptr &&
        core_->api.is_fully_accelerated(compiled_.get(), &is_full) == litert::kOk) {
        writer.member("fully_delegated", is_full);  // false: XNNPACK left operators to others
    }
    writer.member("kernel_mode", options_.kernel_mode).end_object();
    return writer.text();
}

std::vector<OperatorTime> LiteRtModel::profile(std::size_t n_runs) {
    constexpr std::size_t kWarmups = 3;
    const litert::Api& api = core_->api;
    const auto need = [this](litert::Status status) {
        core_->check(status, ErrorKind::kUnsupportedModel, path_ + ": the profiler fails");
    };
    litert::ProfilerT* profiler = nullptr;
    need(api.get_profiler(compiled_.get(), &profiler));
    if (profiler == nullptr) {
        throw Error(ErrorKind::kUnsupportedModel, path_ + ": LiteRT gives no profiler for it");
    }
    for (std::size_t i = 0; i < kWarmups; ++i) invoke_or_throw();
    need(api.start_profiler(profiler));
    for (std::size_t i = 0; i < n_runs; ++i) invoke_or_throw();
    need(api.stop_profiler(profiler));
    int count = 0;
    need(api.count_events(profiler, &count));
    const auto n = static_cast<std::size_t>(std::max(count, 0));
    std::vector<LiteRtEvent> events = room_for_events(n);
    if (n > 0) need(api.get_events(profiler, count, events.data()));
    if (!are_events_whole(events, n)) {
        throw Error(ErrorKind::kUnsupportedModel,
                    core_->library.path() +
                        ": its profiler has another form than LiteRT 2.1.6 to 2.3.0 have");
    }
    events.resize(n);
    return mean_of_events(events, n_runs);
}

class LiteRtRuntime final : public Runtime {
  public:
    explicit LiteRtRuntime(const std::string& path)
        : core_(std::make_shared<const LiteRtCore>(path)),
          facts_{"litert", version_beside(core_->library.path()), core_->library.path()} {}

    const RuntimeFacts& facts() const override { return facts_; }
    std::unique_ptr<LoadedModel> load(const LoadSettings& settings) override {
        return std::make_unique<LiteRtModel>(core_, settings, false);
    }
    bool has_profiler() const override { return core_->api.has_profiler(); }
    std::vector<OperatorTime> profile(const LoadSettings& settings, std::size_t n_runs) override {
        return LiteRtModel(core_, settings, true).profile(n_runs);
    }

  private:
    std::shared_ptr<const LiteRtCore> core_;
    RuntimeFacts facts_;
};

}  // namespace

std::unique_ptr<Runtime> open_litert(const std::string& library_path) {
    return std::make_unique<LiteRtRuntime>(library_path);
}

}  // namespace edgeprof
