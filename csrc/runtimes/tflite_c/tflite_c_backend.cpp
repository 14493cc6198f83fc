// TensorFlow Lite through its C API: a libtensorflowlite_c.so that the user or the distribution
// brings. XNNPACK is on where the library was built with it (the default of its builds); the API
// does not tell what it took over, only the library's symbols that it is there.
//
// External delegates (Edge TPU, Arm NN, NPUs ...) are shared libraries of their own with the two
// functions of TensorFlow Lite's delegate plug-ins; a job names them by path.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/owned.h"
#include "base/sha256.h"
#include "runtimes/backend.h"
#include "runtimes/input_shapes.h"
#include "runtimes/input_values.h"
#include "runtimes/library.h"
#include "runtimes/model_file.h"
#include "runtimes/reason.h"
#include "runtimes/tflite_c/tflite_types.h"

namespace edgeprof {

namespace {

namespace tflite {

using Status = int;
constexpr Status kOk = 0;

struct Model;
struct InterpreterOptions;
struct Interpreter;
struct Tensor;
struct Delegate;

struct Api {
    explicit Api(const Library& library);

    bool has_xnnpack;
    const char* (*version)();
    Model* (*create_model)(const char*);
    void (*delete_model)(Model*);
    InterpreterOptions* (*create_options)();
    void (*delete_options)(InterpreterOptions*);
    void (*set_threads)(InterpreterOptions*, std::int32_t);
    void (*add_delegate)(InterpreterOptions*, Delegate*);
    void (*set_error_reporter)(InterpreterOptions*, void (*)(void*, const char*, va_list), void*);
    Interpreter* (*create_interpreter)(const Model*, const InterpreterOptions*);
    void (*delete_interpreter)(Interpreter*);
    std::int32_t (*count_inputs)(const Interpreter*);
    std::int32_t (*count_outputs)(const Interpreter*);
    Tensor* (*input)(const Interpreter*, std::int32_t);
    const Tensor* (*output)(const Interpreter*, std::int32_t);
    Status (*resize_input)(Interpreter*, std::int32_t, const int*, std::int32_t);
    Status (*allocate)(Interpreter*);
    Status (*invoke)(Interpreter*);
    int (*type)(const Tensor*);
    const char* (*name)(const Tensor*);
    std::int32_t (*rank)(const Tensor*);
    std::int32_t (*dimension)(const Tensor*, std::int32_t);
    std::size_t (*bytes)(const Tensor*);
    void* (*data)(const Tensor*);
};

template <class Function>
void need(const Library& library, const char* symbol, Function& target) {
    target = library.need<Function>(symbol);
}

Api::Api(const Library& library) {
    has_xnnpack = library.find<void (*)()>("TfLiteXNNPackDelegateCreate") != nullptr;
    need(library, "TfLiteVersion", version);
    need(library, "TfLiteModelCreateFromFile", create_model);
    need(library, "TfLiteModelDelete", delete_model);
    need(library, "TfLiteInterpreterOptionsCreate", create_options);
    need(library, "TfLiteInterpreterOptionsDelete", delete_options);
    need(library, "TfLiteInterpreterOptionsSetNumThreads", set_threads);
    need(library, "TfLiteInterpreterOptionsAddDelegate", add_delegate);
    need(library, "TfLiteInterpreterOptionsSetErrorReporter", set_error_reporter);
    need(library, "TfLiteInterpreterCreate", create_interpreter);
    need(library, "TfLiteInterpreterDelete", delete_interpreter);
    need(library, "TfLiteInterpreterGetInputTensorCount", count_inputs);
    need(library, "TfLiteInterpreterGetOutputTensorCount", count_outputs);
    need(library, "TfLiteInterpreterGetInputTensor", input);
    need(library, "TfLiteInterpreterGetOutputTensor", output);
    need(library, "TfLiteInterpreterResizeInputTensor", resize_input);
    need(library, "TfLiteInterpreterAllocateTensors", allocate);
    need(library, "TfLiteInterpreterInvoke", invoke);
    need(library, "TfLiteTensorType", type);
    need(library, "TfLiteTensorName", name);
    need(library, "TfLiteTensorNumDims", rank);
    need(library, "TfLiteTensorDim", dimension);
    need(library, "TfLiteTensorByteSize", bytes);
    need(library, "TfLiteTensorData", data);
}

}  // namespace tflite

struct TfLiteCore {
    explicit TfLiteCore(const std::string& path) : library(path), api(library) {}
    Library library;
    tflite::Api api;
};

struct DelegateOption {
    std::string path;
    std::vector<std::pair<std::string, std::string>> options;
};

[[noreturn]] void refuse_delegates() {
    throw Error(ErrorKind::kInvalidJob,
                "runtime option 'delegates': expected a list of {path, options: {key: text}}");
}

DelegateOption read_delegate(const json::Value& value) {
    DelegateOption delegate;
    const json::Value* path = value.find("path");
    if (path == nullptr || path->as_string() == nullptr) refuse_delegates();
    delegate.path = *path->as_string();
    const json::Value* options = value.find("options");
    if (options == nullptr) return delegate;
    if (options->as_object() == nullptr) refuse_delegates();
    for (const auto& [key, text] : *options->as_object()) {
        if (text.as_string() == nullptr) refuse_delegates();
        delegate.options.emplace_back(key, *text.as_string());
    }
    return delegate;
}

std::vector<DelegateOption> read_options(const json::Value& given) {
    std::vector<DelegateOption> delegates;
    const json::Object* object = given.as_object();
    if (object == nullptr) return delegates;
    for (const auto& [key, value] : *object) {
        if (key != "delegates") {
            throw Error(ErrorKind::kInvalidJob,
                        "runtime option '" + key + "' is unknown to tflite_c; known: delegates");
        }
        if (value.as_array() == nullptr) refuse_delegates();
        for (const json::Value& item : *value.as_array()) delegates.push_back(read_delegate(item));
    }
    return delegates;
}

// What the runtime complains about while it loads; only the last line is kept.
void keep_complaint(void* last, const char* format, va_list arguments) {
    char text[512];
    std::vsnprintf(text, sizeof text, format, arguments);
    *static_cast<std::string*>(last) = without_source_paths(text);
}

// The same of a delegate, which is told no place to report to.
thread_local std::string delegate_complaint;
void keep_delegate_complaint(const char* text) { delegate_complaint = text; }

class TfLiteModel final : public LoadedModel {
  public:
    TfLiteModel(std::shared_ptr<const TfLiteCore> core, const LoadSettings& settings)
        : core_(std::move(core)),
          path_(settings.model_path),
          delegate_options_(read_options(settings.options)),
          file_(read_model_file(path_).value_or(ModelFile{})),
          model_(nullptr, core_->api.delete_model),
          options_(nullptr, core_->api.delete_options),
          interpreter_(nullptr, core_->api.delete_interpreter) {
        model_.reset(core_->api.create_model(path_.c_str()));
        if (model_ == nullptr) {
            throw Error(ErrorKind::kInvalidModel,
                        path_ + ": is no TFLite model, or a truncated one");
        }
        create_interpreter(settings.threads);
        bind(settings);
    }

    bool invoke() noexcept override { return core_->api.invoke(interpreter_.get()) == tflite::kOk; }
    std::string failure() const override {
        return complaint_.empty() ? "TensorFlow Lite gives no reason" : complaint_;
    }
    const std::vector<TensorFacts>& inputs() const override { return inputs_; }
    const std::vector<TensorFacts>& outputs() const override { return outputs_; }
    std::string options_json() const override;

  private:
    void create_interpreter(int threads);
    tflite::Delegate* open_delegate(const DelegateOption& option);
    std::vector<ModelInput> describe_inputs(const LoadSettings& settings) const;
    void bind(const LoadSettings& settings);
    void allocate();
    TensorFacts describe(const tflite::Tensor* tensor) const;

    std::shared_ptr<const TfLiteCore> core_;
    std::string path_;
    std::string complaint_;
    std::vector<DelegateOption> delegate_options_;
    ModelFile file_;  // empty where it cannot be read
    // In the order of creation: the interpreter goes before what it uses.
    Owned<tflite::Model> model_;
    std::vector<Owned<tflite::Delegate>> delegates_;
    Owned<tflite::InterpreterOptions> options_;
    Owned<tflite::Interpreter> interpreter_;
    std::vector<TensorFacts> inputs_, outputs_;
};

tflite::Delegate* TfLiteModel::open_delegate(const DelegateOption& option) {
    using Create = tflite::Delegate* (*)(const char* const*, const char* const*, std::size_t,
                                         void (*)(const char*));
    using Destroy = void (*)(tflite::Delegate*);
    const Library library(option.path);
    const auto create = library.need<Create>("tflite_plugin_create_delegate");
    const auto destroy = library.need<Destroy>("tflite_plugin_destroy_delegate");
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : option.options) {
        keys.push_back(key.c_str());
        values.push_back(value.c_str());
    }
    delegate_complaint = "it gives no reason; is its device there?";
    tflite::Delegate* delegate =
        create(keys.data(), values.data(), keys.size(), keep_delegate_complaint);
    if (delegate == nullptr) {
        throw Error(ErrorKind::kRuntimeUnavailable,
                    option.path + ": the delegate cannot be made: " + delegate_complaint);
    }
    delegates_.emplace_back(delegate, destroy);
    return delegate;
}

void TfLiteModel::create_interpreter(int threads) {
    const tflite::Api& api = core_->api;
    options_.reset(api.create_options());
    api.set_threads(options_.get(), threads);
    api.set_error_reporter(options_.get(), keep_complaint, &complaint_);
    for (const DelegateOption& option : delegate_options_) {
        api.add_delegate(options_.get(), open_delegate(option));
    }
    interpreter_.reset(api.create_interpreter(model_.get(), options_.get()));
    if (interpreter_ == nullptr) {
        throw Error(ErrorKind::kUnsupportedModel, path_ + ": TensorFlow Lite " + api.version() +
                                                      " cannot prepare it: " + failure());
    }
}

TensorFacts TfLiteModel::describe(const tflite::Tensor* tensor) const {
    const tflite::Api& api = core_->api;
    TensorFacts facts{api.name(tensor), tflite_type_name(api.type(tensor)), {}};
    for (std::int32_t i = 0; i < api.rank(tensor); ++i) {
        facts.shape.push_back(api.dimension(tensor, i));
    }
    return facts;
}

void TfLiteModel::allocate() {
    if (core_->api.allocate(interpreter_.get()) != tflite::kOk) {
        throw Error(ErrorKind::kUnsupportedModel,
                    path_ + ": its tensors cannot be allocated: " + failure());
    }
}

// The C API shows a dynamic dimension as 1, and an unknown rank as a scalar: the file tells. Where
// it cannot be read, any shape of that rank may be asked for, as of a dimension that is fixed.
std::vector<ModelInput> TfLiteModel::describe_inputs(const LoadSettings& settings) const {
    std::vector<ModelInput> inputs;
    const auto n_inputs = static_cast<std::size_t>(core_->api.count_inputs(interpreter_.get()));
    for (std::size_t i = 0; i < n_inputs; ++i) {
        ModelInput& input = inputs.emplace_back(ModelInput{
            describe(core_->api.input(interpreter_.get(), static_cast<std::int32_t>(i)))});
        std::vector<std::int64_t>& shape = input.facts.shape;
        if (i < file_.inputs.size()) {
            input.has_rank = file_.inputs[i].has_rank;
            if (file_.inputs[i].shape.size() == shape.size()) shape = file_.inputs[i].shape;
        }
        if (settings.shapes.count(input.facts.name) > 0) std::fill(shape.begin(), shape.end(), -1);
    }
    return inputs;
}

void TfLiteModel::bind(const LoadSettings& settings) {
    const tflite::Api& api = core_->api;
    tflite::Interpreter* interpreter = interpreter_.get();
    inputs_ = fix_shapes(describe_inputs(settings), settings);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
        const auto index = static_cast<std::int32_t>(i);
        if (inputs_[i].shape == describe(api.input(interpreter, index)).shape) continue;
        const std::vector<int> dimensions(inputs_[i].shape.begin(), inputs_[i].shape.end());
        if (api.resize_input(interpreter, index, dimensions.data(),
                             static_cast<std::int32_t>(dimensions.size())) != tflite::kOk) {
            throw Error(ErrorKind::kInvalidJob,
                        path_ + ": input '" + inputs_[i].name + "' does not take the given shape");
        }
    }
    allocate();
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
        const tflite::Tensor* tensor = api.input(interpreter, static_cast<std::int32_t>(i));
        fill_input(api.data(tensor), api.bytes(tensor), inputs_[i], settings, i);
    }
    for (std::int32_t i = 0; i < api.count_outputs(interpreter); ++i) {
        outputs_.push_back(describe(api.output(interpreter, i)));
    }
}

std::string TfLiteModel::options_json() const {
    json::Writer writer;
    writer.begin_object().key("delegates").begin_array();
    for (const DelegateOption& delegate : delegate_options_) {
        writer.begin_object().key("options").begin_object();
        for (const auto& [key, value] : delegate.options) writer.member(key, value);
        writer.end_object().member("path", delegate.path);
        const std::string sha256 = remembered_sha256(delegate.path);
        if (!sha256.empty()) writer.member("sha256", sha256);  // a path, no name for the loader
        writer.end_object();
    }
    writer.end_array();
    write_entry_points(writer, file_, 0);
    writer.member("xnnpack_in_library", core_->api.has_xnnpack).end_object();
    return writer.text();
}

class TfLiteRuntime final : public Runtime {
  public:
    explicit TfLiteRuntime(const std::string& path)
        : core_(std::make_shared<const TfLiteCore>(path)),
          facts_{"tflite_c", core_->api.version(), core_->library.path()} {}

    const RuntimeFacts& facts() const override { return facts_; }
    std::unique_ptr<LoadedModel> load(const LoadSettings& settings) override {
        return std::make_unique<TfLiteModel>(core_, settings);
    }

  private:
    std::shared_ptr<const TfLiteCore> core_;
    RuntimeFacts facts_;
};

}  // namespace

std::unique_ptr<Runtime> open_tflite_c(const std::string& library_path) {
    return std::make_unique<TfLiteRuntime>(library_path);
}

}  // namespace edgeprof
