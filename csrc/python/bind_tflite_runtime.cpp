// tflite-runtime's wheels export no C API, only a Python module and mangled C++ symbols. So Python
// (edgeprof/tflite_interpreter.py) makes the interpreter and tells where its tensors lie, and the
// timed region calls Interpreter::Invoke by its address: no Python runs between the clock's reads.
//
// The measuring thread may or may not hold the interpreter's lock: each function that touches
// Python takes it.
#include "python/bind_tflite_runtime.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <memory>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "runtimes/backend.h"
#include "runtimes/input_shapes.h"
#include "runtimes/input_values.h"
#include "runtimes/library.h"
#include "runtimes/model_file.h"
#include "runtimes/reason.h"

namespace py = pybind11;

namespace edgeprof {
namespace {

// TfLiteStatus tflite::impl::Interpreter::Invoke(): the object is the first argument in the C++ ABI
// of all our processors. The same name in releases 2.13 and 2.14, the last ones.
constexpr const char* kInvokeSymbol = "_ZN6tflite4impl11Interpreter6InvokeEv";
using Invoke = int (*)(void* interpreter);

// An object of Python that may be let go by a thread without the lock.
class Held {
  public:
    explicit Held(py::object object) : object_(std::move(object)) {}
    ~Held() {
        const py::gil_scoped_acquire locked;
        object_.release().dec_ref();
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    py::object attr(const char* name) const { return object_.attr(name); }

  private:
    py::object object_;
};

// The same error, as the core has it.
[[noreturn]] void throw_as_ours(const py::error_already_set& error) {
    const auto type = py::type::of(error.value()).attr("__name__").cast<std::string>();
    const auto message = py::str(error.value()).cast<std::string>();
    for (const ErrorKind kind : {ErrorKind::kInvalidJob, ErrorKind::kInvalidModel,
                                 ErrorKind::kRuntimeUnavailable, ErrorKind::kUnsupportedModel}) {
        if (type == name_of(kind)) throw Error(kind, message);
    }
    throw Error(ErrorKind::kHarnessCrashed, "tflite-runtime: " + type + ": " + message);
}

// Calls a function that uses Python, with the lock.
template <class Function>
auto with_python(Function&& function) {
    const py::gil_scoped_acquire locked;
    try {
        return function();
    } catch (const py::error_already_set& error) {
        throw_as_ours(error);
    }
}

std::string read_kernel_mode(const json::Value& options) {
    std::string mode = "xnnpack";
    if (options.as_object() == nullptr) return mode;
    for (const auto& [key, value] : *options.as_object()) {
        if (key != "kernel_mode" || value.as_string() == nullptr) {
            throw Error(ErrorKind::kInvalidJob,
                        "runtime option '" + key +
                            "' is unknown to tflite_runtime; known: kernel_mode (a string)");
        }
        mode = *value.as_string();
    }
    return mode;
}

class PythonModel final : public LoadedModel {
  public:
    // With the lock.
    PythonModel(const py::object& module, Invoke invoke, const LoadSettings& settings)
        : invoke_(invoke),
          kernel_mode_(read_kernel_mode(settings.options)),
          file_(read_model_file(settings.model_path).value_or(ModelFile{})),
          model_(module.attr("TfliteModel")(settings.model_path, settings.threads, kernel_mode_)) {
        using Description = std::tuple<std::string, std::string, std::vector<std::int64_t>>;
        using Memory = std::pair<std::uintptr_t, std::size_t>;
        const auto describe = [this](const char* name) {
            std::vector<TensorFacts> facts;
            for (auto& [tensor, type, shape] :
                 model_.attr(name)().cast<std::vector<Description>>()) {
                facts.push_back({tensor, type, shape});
            }
            return facts;
        };
        std::vector<ModelInput> stated;
        for (TensorFacts& input : describe("inputs")) {
            const std::size_t i = stated.size();
            const bool has_rank = i >= file_.inputs.size() || file_.inputs[i].has_rank;
            stated.push_back({std::move(input), has_rank});
        }
        inputs_ = fix_shapes(stated, settings);
        std::vector<std::vector<std::int64_t>> shapes;
        for (const TensorFacts& input : inputs_) shapes.push_back(input.shape);
        model_.attr("allocate")(shapes);
        interpreter_ = reinterpret_cast<void*>(model_.attr("handle")().cast<std::uintptr_t>());
        const auto memory = model_.attr("input_memory")().cast<std::vector<Memory>>();
        for (std::size_t i = 0; i < inputs_.size(); ++i) {
            const auto& [address, n_bytes] = memory.at(i);
            fill_input(reinterpret_cast<void*>(address), n_bytes, inputs_[i], settings, i);
        }
        outputs_ = describe("outputs");
        n_delegates_ = model_.attr("count_delegates")().cast<std::size_t>();
    }

    bool invoke() noexcept override { return invoke_(interpreter_) == 0; }
    std::string failure() const override {
        const std::string logged = errors_of_log(log_.read());
        return logged.empty() ? "tflite-runtime gives no reason" : logged;
    }
    const std::vector<TensorFacts>& inputs() const override { return inputs_; }
    const std::vector<TensorFacts>& outputs() const override { return outputs_; }
    std::vector<std::uint8_t> output_bytes(std::size_t index) const override {
        return with_python([&] {
            const auto bytes = model_.attr("output_bytes")(index).cast<std::string>();
            return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
        });
    }
    std::string options_json() const override {
        json::Writer writer;
        writer.begin_object()
            .member("kernel_mode", kernel_mode_)
            .member("partitions", n_delegates_);  // of the graph that XNNPACK took over
        write_entry_points(writer, file_, 0);
        writer.end_object();
        return writer.text();
    }

  private:
    StderrLog log_;
    Invoke invoke_;
    std::string kernel_mode_;
    ModelFile file_;  // empty where it cannot be read
    Held model_;
    void* interpreter_ = nullptr;
    std::size_t n_delegates_ = 0;
    std::vector<TensorFacts> inputs_, outputs_;
};

class PythonRuntime final : public Runtime {
  public:
    // With the lock. The package is imported first: then the library is open, and ours is the same.
    explicit PythonRuntime(const std::string& path)
        : module_(py::module_::import("edgeprof.measuring.tflite_interpreter")) {
        const auto release = module_.attr("open_package")(path).cast<std::string>();
        const Library library(path);
        invoke_ = library.need<Invoke>(kInvokeSymbol);
        facts_ = {"tflite_runtime", release, library.path()};
    }

    const RuntimeFacts& facts() const override { return facts_; }
    std::unique_ptr<LoadedModel> load(const LoadSettings& settings) override {
        return with_python([&] {
            return std::make_unique<PythonModel>(
                py::module_::import("edgeprof.measuring.tflite_interpreter"), invoke_, settings);
        });
    }

  private:
    Held module_;
    Invoke invoke_ = nullptr;
    RuntimeFacts facts_;
};

std::unique_ptr<Runtime> open(const std::string& library_path) {
    return with_python([&] { return std::make_unique<PythonRuntime>(library_path); });
}

}  // namespace

void provide_tflite_runtime() { provide_runtime("tflite_runtime", &open); }

}  // namespace edgeprof
