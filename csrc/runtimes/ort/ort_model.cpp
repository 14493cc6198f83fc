#include "runtimes/ort/ort_model.h"

#include <optional>
#include <utility>

#include "base/error.h"
#include "runtimes/input_shapes.h"
#include "runtimes/input_values.h"
#include "runtimes/model_file.h"
#include "runtimes/ort/ort_session.h"

namespace edgeprof {

namespace {

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

}  // namespace

// An input or output; negative dimensions are not known before the run. A tensor without any may
// be a scalar, or one of unknown rank: the runtime does not tell.
struct OrtTensor {
    ModelInput input;
    int element_type = 0;
};

OrtModel::OrtModel(std::shared_ptr<const OrtCore> core, const LoadSettings& settings,
                   const std::string& profile_prefix)
    : core_(std::move(core)),
      path_(settings.model_path),
      options_(read_ort_options(settings.options)),
      session_(create_ort_session(*core_, settings, options_, profile_prefix)),
      binding_(nullptr, core_->api.ReleaseIoBinding),
      run_options_(nullptr, core_->api.ReleaseRunOptions),
      host_memory_(nullptr, core_->api.ReleaseMemoryInfo),
      device_memory_(nullptr, core_->api.ReleaseMemoryInfo),
      is_on_gpu_(options_.gpu_provider() != nullptr) {
    const ort::Api& api = core_->api;
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
    describe_outputs();
    check(bind_outputs(), "an output cannot be bound");
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
    tensor.input.facts.name = name;
    check(api.AllocatorFree(allocator, name), "no memory");

    ort::TypeInfo* created = nullptr;
    check(is_input ? api.SessionGetInputTypeInfo(session, index, &created)
                   : api.SessionGetOutputTypeInfo(session, index, &created),
          "no type");
    const Owned<ort::TypeInfo> type(created, api.ReleaseTypeInfo);
    int onnx_type = 0;
    check(api.GetOnnxTypeFromTypeInfo(type.get(), &onnx_type), "no type");
    if (onnx_type != ort::kTypeTensor) {
        tensor.input.facts.type = "no tensor";
        return tensor;
    }
    const ort::TensorInfo* info = nullptr;
    check(api.CastTypeInfoToTensorInfo(type.get(), &info), "no tensor");
    check(api.GetTensorElementType(info, &tensor.element_type), "no element type");
    tensor.input.facts.type = type_name(tensor.element_type);
    std::size_t rank = 0;
    check(api.GetDimensionsCount(info, &rank), "no shape");
    tensor.input.facts.shape.resize(rank);
    std::vector<const char*> symbols(rank, "");
    check(api.GetDimensions(info, tensor.input.facts.shape.data(), rank), "no shape");
    check(api.GetSymbolicDimensions(info, symbols.data(), rank), "no shape");
    tensor.input.symbols.assign(symbols.begin(), symbols.end());
    return tensor;
}

std::vector<OrtTensor> OrtModel::describe_inputs() const {
    std::size_t n_inputs = 0;
    check(core_->api.SessionGetInputCount(session_.get(), &n_inputs), "no inputs");
    std::vector<OrtTensor> tensors;
    std::optional<ModelFile> file;
    for (std::size_t i = 0; i < n_inputs; ++i) {
        ModelInput& input = tensors.emplace_back(describe(i, true)).input;
        if (!input.facts.shape.empty()) continue;
        if (!file) file = read_model_file(path_).value_or(ModelFile{});
        const FileInput* stated = file->find_input(input.facts.name);
        input.has_rank = stated == nullptr || stated->has_rank;
    }
    return tensors;
}

ort::Value* OrtModel::make_input(const TensorFacts& facts, int element_type,
                                 const LoadSettings& settings) {
    const ort::Api& api = core_->api;
    const std::vector<std::int64_t>& shape = facts.shape;
    ort::Value* value = nullptr;
    if (element_type == ort::kString) {
        const std::vector<std::string> texts = input_texts(facts, settings);
        std::vector<const char*> pointers;
        for (const std::string& text : texts) pointers.push_back(text.c_str());
        ort::Allocator* allocator = nullptr;  // the runtime's own, not ours to release
        check(api.GetAllocatorWithDefaultOptions(&allocator), "no allocator");
        check(
            api.CreateTensorAsOrtValue(allocator, shape.data(), shape.size(), element_type, &value),
            "an input cannot be made");
        input_values_.emplace_back(value, api.ReleaseValue);
        check(api.FillStringTensor(value, pointers.data(), pointers.size()),
              "an input cannot be filled");
        return value;
    }
    const std::size_t n_bytes = count_elements(shape) * bytes_per_element(facts.type);
    // At least one: an input of no elements has an address too.
    input_data_.emplace_back((n_bytes + 7) / 8 + 1);
    void* data = input_data_.back().data();
    fill_input(data, n_bytes, facts, settings, input_data_.size() - 1);
    check(api.CreateTensorWithDataAsOrtValue(host_memory_.get(), data, n_bytes, shape.data(),
                                             shape.size(), element_type, &value),
          "an input cannot be made");
    input_values_.emplace_back(value, api.ReleaseValue);
    return value;
}

void OrtModel::bind_inputs(const LoadSettings& settings) {
    const std::vector<OrtTensor> tensors = describe_inputs();
    std::vector<ModelInput> stated;
    for (const OrtTensor& tensor : tensors) stated.push_back(tensor.input);
    const auto works = [&](const std::vector<TensorFacts>& open) {
        LoadSettings tried = settings;
        for (const TensorFacts& facts : open) tried.shapes[facts.name] = facts.shape;
        try {
            inputs_ = fix_shapes(stated, tried);
            bind_values(tensors, tried);
            if (outputs_.empty()) describe_outputs();
            check(bind_outputs(), "an output cannot be bound");
            check(run(), "inference failed");
            return true;
        } catch (const Error&) {
            return false;
        }
    };
    inputs_ = fix_shapes(stated, settings, works);
    bind_values(tensors, settings);
}

void OrtModel::bind_values(const std::vector<OrtTensor>& tensors, const LoadSettings& settings) {
    const ort::Api& api = core_->api;
    input_values_.clear();
    input_data_.clear();
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
        ort::Value* value = make_input(inputs_[i], tensors[i].element_type, settings);
        check(api.BindInput(binding_.get(), inputs_[i].name.c_str(), value),
              "an input cannot be bound");
    }
    if (is_on_gpu_) check(api.SynchronizeBoundInputs(binding_.get()), "inputs cannot be copied");
}

void OrtModel::describe_outputs() {
    const ort::Api& api = core_->api;
    std::size_t n_outputs = 0;
    check(api.SessionGetOutputCount(session_.get(), &n_outputs), "no outputs");
    for (std::size_t i = 0; i < n_outputs; ++i) outputs_.push_back(describe(i, false).input.facts);
    // Outputs stay where they are computed: on the provider's device unless copies are timed.
    if (is_on_gpu_ && !options_.time_copies) {
        ort::MemoryInfo* created = nullptr;
        check(
            api.CreateMemoryInfo("Cuda", ort::kArenaAllocator, options_.gpu_provider()->device_id(),
                                 ort::kMemoryDefault, &created),
            "no device memory");
        device_memory_.reset(created);
    }
}

ort::Status* OrtModel::bind_outputs() noexcept {
    const ort::MemoryInfo* memory =
        device_memory_ != nullptr ? device_memory_.get() : host_memory_.get();
    for (const TensorFacts& output : outputs_) {
        ort::Status* status =
            core_->api.BindOutputToDevice(binding_.get(), output.name.c_str(), memory);
        if (status != nullptr) return status;
    }
    return nullptr;
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

// A binding keeps the outputs of the run before and lets the next one write into them. Where their
// sizes change from run to run, they are bound anew before each, as an application has it.
bool OrtModel::invoke() noexcept {
    ort::Status* status = run();
    if (status != nullptr && !has_new_outputs_ && has_run_) {
        core_->api.ReleaseStatus(status);
        has_new_outputs_ = true;
        status = run();
    }
    has_run_ = true;
    if (status == nullptr) return true;
    failure_ = core_->message_of(status);
    return false;
}

ort::Status* OrtModel::run() noexcept {
    const ort::Api& api = core_->api;
    ort::Status* status = has_new_outputs_ ? bind_outputs() : nullptr;
    if (is_on_gpu_ && options_.time_copies) {
        for (std::size_t i = 0; status == nullptr && i < inputs_.size(); ++i) {
            status = api.BindInput(binding_.get(), inputs_[i].name.c_str(), input_values_[i].get());
        }
        if (status == nullptr) status = api.SynchronizeBoundInputs(binding_.get());
    }
    if (status == nullptr) {
        status = api.RunWithBinding(session_.get(), run_options_.get(), binding_.get());
    }
    if (status == nullptr && is_on_gpu_) status = api.SynchronizeBoundOutputs(binding_.get());
    return status;
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

}  // namespace edgeprof
