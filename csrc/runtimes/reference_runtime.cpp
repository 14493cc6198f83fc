// The reference models: two fixed pieces of work that run in the turns of what is measured, so that
// the machine's speed while it was measured is known. One is bound by arithmetic, one by memory.
// Their work is the same on every machine and must never change: records are compared by it.
#include <array>
#include <cstring>

#include "base/error.h"
#include "runtimes/backend.h"

namespace edgeprof {

namespace {

class ReferenceModel : public LoadedModel {
  public:
    std::string failure() const override { return ""; }
    const std::vector<TensorFacts>& inputs() const override { return none_; }
    const std::vector<TensorFacts>& outputs() const override { return none_; }
    std::string options_json() const override { return "{}"; }

  private:
    std::vector<TensorFacts> none_;
};

// Multiply-adds over 4 KiB, which every first cache holds.
class ArithmeticModel final : public ReferenceModel {
  public:
    bool invoke() noexcept override {
        constexpr int kPasses = 6'000;
        for (int pass = 0; pass < kPasses; ++pass) {
            for (float& value : work_) value = value * 0.999f + 0.001f;
            asm volatile("" ::"r"(work_.data()) : "memory");  // each pass really happens
        }
        return true;
    }

  private:
    alignas(64) std::array<float, 1024> work_{};
};

// A sum over 16 MiB, which boards' caches do not hold.
class MemoryModel final : public ReferenceModel {
  public:
    MemoryModel() : work_(std::size_t{1} << 21) {
        for (std::size_t i = 0; i < work_.size(); ++i) work_[i] = i * 0x9e3779b97f4a7c15u;
    }
    bool invoke() noexcept override {
        std::uint64_t sum = 0;
        for (const std::uint64_t value : work_) sum += value;
        asm volatile("" ::"r"(sum));
        return true;
    }

  private:
    std::vector<std::uint64_t> work_;
};

class ReferenceRuntime final : public Runtime {
  public:
    const RuntimeFacts& facts() const override { return facts_; }
    std::unique_ptr<LoadedModel> load(const LoadSettings& settings) override {
        if (settings.model_path == kArithmeticReference) return std::make_unique<ArithmeticModel>();
        if (settings.model_path == kMemoryReference) return std::make_unique<MemoryModel>();
        throw Error(ErrorKind::kInvalidModel,
                    settings.model_path + ": no reference model; known: " + kArithmeticReference +
                        ", " + kMemoryReference);
    }

  private:
    RuntimeFacts facts_{"reference", "1", ""};
};

}  // namespace

std::unique_ptr<Runtime> open_reference_runtime() { return std::make_unique<ReferenceRuntime>(); }

}  // namespace edgeprof
