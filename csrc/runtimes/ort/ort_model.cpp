#include "runtimes/ort/ort_model.h"

#include <utility>

#include "base/error.h"
#include "runtimes/input_shapes.h"
#include "runtimes/input_values.h"
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

// Name, type and shape of an input or output; negative dimensions are not known before the run.
struct OrtTensor {
    TensorFacts facts;
    int element_type = 0;
    std::vector<std::string> symbols;  // names of dynamic dimensions, empty where there is none
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
    bind_outputs();
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
    if (is_on_gpu_) check(api.SynchronizeBoundInputs(binding_.get()), "inputs cannot be copied");
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
        check(
            api.CreateMemoryInfo("Cuda", ort::kArenaAllocator, options_.gpu_provider()->device_id(),
                                 ort::kMemoryDefault, &created),
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
        if (status == nullptr) status = api.SynchronizeBoundInputs(binding_.get());
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

}  // namespace edgeprof
