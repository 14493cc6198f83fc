// A model in LiteRT, on the CPU.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtimes/backend.h"
#include "runtimes/litert/litert_core.h"

namespace edgeprof {

// What a job may set.
struct LiteRtOptions {
    std::string kernel_mode = "xnnpack";
};

class LiteRtModel final : public LoadedModel {
  public:
    // is_profiled: with the runtime's profiler, for profile().
    LiteRtModel(std::shared_ptr<const LiteRtCore> core, const LoadSettings& settings,
                bool is_profiled);

    bool invoke() noexcept override;
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

}  // namespace edgeprof
