// ONNX Runtime through its C API (ort_api.h): opening it, and its profile by operator.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/json.h"
#include "runtimes/backend.h"
#include "runtimes/ort/ort_core.h"
#include "runtimes/ort/ort_model.h"
#include "runtimes/ort/ort_profile.h"

namespace edgeprof {

namespace {

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
