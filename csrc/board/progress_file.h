// How a measurement goes, for whoever waits for it: a small file that is written again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "board/load_model.h"
#include "timing/measure.h"

namespace edgeprof {

// The file holds one JSON object, padded with spaces. Before and after the sampling it is
//     {"phase": "loading", "model": 1}      opening | loading | warming | profiling | reporting
// where `model` counts from 0 in the order of the job. While sampling it is
//     {"phase": "measuring", "models": [{"n_samples": 40, "latency_ns": 5000, "ci_low_ns": 4900,
//      "ci_high_ns": 5100, "waits_for": "interval"}, ...]}
// where the interval is left out until there is one. Nothing is written while an inference is
// timed, and nothing waits for the disk. What cannot be written is left out: no result needs it.
class ProgressFile {
  public:
    explicit ProgressFile(const std::string& path);  // empty: writes nothing
    ~ProgressFile();
    ProgressFile(const ProgressFile&) = delete;
    ProgressFile& operator=(const ProgressFile&) = delete;

    void tell_phase(Phase phase);
    void tell_warm();  // one more model is
    // Writes some times a second at most.
    void tell_round(const StatusReader& read_status);

  private:
    void tell_model(const char* phase, std::size_t model);
    void write(std::string text);

    int descriptor_;
    std::size_t n_written_ = 0;  // bytes, at most
    std::size_t n_opened_ = 0;   // models
    std::size_t n_warm_ = 0;
    std::size_t n_profiled_ = 0;
    std::int64_t told_at_ns_ = 0;
};

}  // namespace edgeprof
