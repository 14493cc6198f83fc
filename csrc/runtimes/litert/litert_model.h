// A model in LiteRT, on the CPU.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtimes/backend.h"
#include "runtimes/input_shapes.h"
#include "runtimes/litert/litert_core.h"
#include "runtimes/model_file.h"
#include "runtimes/reason.h"

namespace edgeprof {

// What a job may set.
struct LiteRtOptions {
    std::string kernel_mode = "xnnpack";
    std::string signature;  // empty: the first
};

class LiteRtModel final : public LoadedModel {
  public:
    // is_profiled: with the runtime's profiler, for profile().
    LiteRtModel(std::shared_ptr<const LiteRtCore> core, const LoadSettings& settings,
                bool is_profiled);

    bool invoke() noexcept override;
    std::string failure() const override { return reason(status_); }
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
    void choose_signature();
    std::vector<ModelInput> describe_inputs(std::vector<litert::TensorType>& types) const;
    void bind(const LoadSettings& settings);
    void bind_outputs(std::size_t n_outputs);
    litert::TensorType describe(std::size_t index, bool is_input, TensorFacts& facts) const;
    void check_size(const TensorFacts& facts) const;
    void resize(std::size_t index, litert::TensorType& type, const TensorFacts& facts);
    litert::BufferT* make_buffer(std::size_t index, bool is_input, const litert::TensorType& type);
    void fill(std::size_t index, const LoadSettings& settings) const;

    // What LiteRT says of a failed call, and logged since it was given the model.
    std::string reason(litert::Status status) const;
    // Throws kInvalidModel.
    void check(litert::Status status, const std::string& what) const {
        if (status == litert::kOk) return;
        throw Error(ErrorKind::kInvalidModel, path_ + ": " + what + ": " + reason(status));
    }

    StderrLog log_;
    std::shared_ptr<const LiteRtCore> core_;
    std::string path_;
    int threads_;
    LiteRtOptions options_;
    bool is_profiled_;
    bool is_resized_ = false;  // an input; the outputs' shapes in the file no longer hold
    ModelFile file_;           // empty where it cannot be read
    Owned<litert::ModelT> model_;
    Owned<litert::CompiledModelT> compiled_;
    std::size_t signature_index_ = 0;
    litert::SignatureT* signature_ = nullptr;  // the model's
    std::vector<Owned<litert::BufferT>> buffers_;
    std::vector<litert::BufferT*> raw_inputs_, raw_outputs_;
    std::vector<TensorFacts> inputs_, outputs_;
    litert::Status status_ = litert::kOk;
};

}  // namespace edgeprof
