// LiteRT through its C API (litert_api.h).
#include <memory>

#include "runtimes/backend.h"
#include "runtimes/litert/litert_core.h"
#include "runtimes/litert/litert_model.h"

namespace edgeprof {

namespace {

class LiteRtRuntime final : public Runtime {
  public:
    explicit LiteRtRuntime(const std::string& path)
        : core_(std::make_shared<const LiteRtCore>(path)),
          facts_{"litert", core_->version(), core_->library.path()} {}

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
