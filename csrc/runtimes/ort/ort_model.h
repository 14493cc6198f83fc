// A model in ONNX Runtime.
//
// Inputs are bound once: IoBinding copies them to the provider's device at that moment, so that
// the timed run moves no data between host and device (unless "time_copies" asks for it: then each
// run begins with binding them anew and ends with outputs on the host).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtimes/backend.h"
#include "runtimes/ort/ort_core.h"
#include "runtimes/ort/ort_options.h"

namespace edgeprof {

struct OrtTensor;

class OrtModel final : public LoadedModel {
  public:
    // profile_prefix: where the runtime's profiler writes; empty switches it off.
    OrtModel(std::shared_ptr<const OrtCore> core, const LoadSettings& settings,
             const std::string& profile_prefix);

    bool invoke() noexcept override;
    std::string failure() const override { return failure_; }
    const std::vector<TensorFacts>& inputs() const override { return inputs_; }
    const std::vector<TensorFacts>& outputs() const override { return outputs_; }
    std::vector<std::uint8_t> output_bytes(std::size_t index) const override;
    bool has_device() const override { return is_on_gpu_; }
    std::string options_json() const override { return options_.to_json(); }

    // Ends profiling; returns the path of the profile.
    std::string end_profiling();

  private:
    void check(ort::Status* status, const char* what) const {
        core_->check(status, ErrorKind::kUnsupportedModel, path_ + ": " + what);
    }
    OrtTensor describe(std::size_t index, bool is_input) const;
    std::vector<OrtTensor> describe_inputs() const;
    ort::Value* make_input(const TensorFacts& facts, int element_type,
                           const LoadSettings& settings);
    void bind_inputs(const LoadSettings& settings);
    void bind_values(const std::vector<OrtTensor>& tensors, const LoadSettings& settings);
    void describe_outputs();
    ort::Status* bind_outputs() noexcept;
    ort::Status* run() noexcept;

    std::shared_ptr<const OrtCore> core_;
    std::string path_;
    OrtOptions options_;
    Owned<ort::Session> session_;
    Owned<ort::IoBinding> binding_;
    Owned<ort::RunOptions> run_options_;
    Owned<ort::MemoryInfo> host_memory_;
    Owned<ort::MemoryInfo> device_memory_;  // of outputs that stay there, else nullptr
    std::vector<std::vector<std::uint64_t>> input_data_;  // 64-bit units: aligned for every type
    std::vector<Owned<ort::Value>> input_values_;
    std::vector<TensorFacts> inputs_;
    std::vector<TensorFacts> outputs_;
    bool is_on_gpu_;
    bool has_run_ = false;
    bool has_new_outputs_ = false;  // bound before each run
    std::string failure_;
};

}  // namespace edgeprof
