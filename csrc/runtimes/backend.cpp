#include "runtimes/backend.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"

namespace edgeprof {

namespace {

// What tests ask of the null runtime: option "act" is one of the names below.
enum class Act { kNothing, kSleep, kFail, kHang, kAbort, kIllegalInstruction };

constexpr useconds_t kSleep_us = 5'000;

Act read_act(const json::Value& options) {
    const json::Value* given = options.find("act");
    if (given == nullptr) return Act::kNothing;
    const std::string name = given->as_string() != nullptr ? *given->as_string() : "";
    if (name == "sleep") return Act::kSleep;
    if (name == "fail") return Act::kFail;
    if (name == "hang") return Act::kHang;
    if (name == "abort") return Act::kAbort;
    if (name == "illegal_instruction") return Act::kIllegalInstruction;
    throw Error(ErrorKind::kInvalidJob,
                "runtime option 'act': expected sleep, fail, hang, abort or illegal_instruction");
}

// Takes its time, or misbehaves, as runtimes on boards do.
class ActingModel final : public LoadedModel {
  public:
    explicit ActingModel(Act act) : act_(act) {}
    bool invoke() noexcept override {
        if (act_ == Act::kIllegalInstruction) raise(SIGILL);
        if (act_ == Act::kAbort) abort();
        while (act_ == Act::kHang) pause();
        if (act_ == Act::kSleep) usleep(kSleep_us);
        return act_ != Act::kFail;
    }
    std::string failure() const override { return "asked to fail"; }
    const std::vector<TensorFacts>& inputs() const override { return none_; }
    const std::vector<TensorFacts>& outputs() const override { return none_; }
    std::string options_json() const override { return "{}"; }

  private:
    Act act_;
    std::vector<TensorFacts> none_;
};

class NullModel final : public LoadedModel {
  public:
    bool invoke() noexcept override { return true; }
    std::string failure() const override { return ""; }
    const std::vector<TensorFacts>& inputs() const override { return none_; }
    const std::vector<TensorFacts>& outputs() const override { return none_; }
    std::string options_json() const override { return "{}"; }

  private:
    std::vector<TensorFacts> none_;
};

class NullRuntime final : public Runtime {
  public:
    const RuntimeFacts& facts() const override { return facts_; }
    std::unique_ptr<LoadedModel> load(const LoadSettings& settings) override {
        const Act act = read_act(settings.options);
        if (act != Act::kNothing) return std::make_unique<ActingModel>(act);
        return std::make_unique<NullModel>();
    }

  private:
    RuntimeFacts facts_{"null", "", ""};
};

std::map<std::string, OpenRuntime>& provided_runtimes() {
    static std::map<std::string, OpenRuntime> provided;
    return provided;
}

}  // namespace

void provide_runtime(const std::string& name, OpenRuntime open) {
    provided_runtimes()[name] = open;
}

std::vector<OperatorTime> Runtime::profile(const LoadSettings&, std::size_t) {
    throw Error(ErrorKind::kUnsupportedModel, facts().name + " offers no profile by operator");
}

std::unique_ptr<Runtime> open_null_runtime() { return std::make_unique<NullRuntime>(); }

std::unique_ptr<Runtime> open_runtime(const std::string& name, const std::string& library_path) {
    if (name == "null") return open_null_runtime();
    if (library_path.empty()) {
        throw Error(ErrorKind::kInvalidJob, "runtime '" + name + "' needs the path of its library");
    }
    if (name == "onnxruntime") return open_onnxruntime(library_path);
    if (name == "litert") return open_litert(library_path);
    if (name == "tflite_c") return open_tflite_c(library_path);
    const auto provided = provided_runtimes().find(name);
    if (provided != provided_runtimes().end()) return provided->second(library_path);
    if (name == "tflite_runtime") {
        throw Error(ErrorKind::kRuntimeUnavailable,
                    "tflite_runtime has no C API: it runs where edgeprof's Python package is "
                    "installed, not through the program alone; name a libtensorflowlite_c.so "
                    "(tflite_c) instead");
    }
    throw Error(ErrorKind::kInvalidJob,
                "unknown runtime '" + name +
                    "'; known: litert, null, onnxruntime, tflite_c, tflite_runtime");
}

}  // namespace edgeprof
