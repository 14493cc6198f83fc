// Reference models that take turns with what is measured: fixed work whose latencies tell how fast
// the machine was meanwhile, to be compared from one record to another.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "timing/instruments.h"

namespace edgeprof {

struct Reference {
    std::string name;
    std::function<std::unique_ptr<LoadedModel>()> make;  // at its first turn
};

struct ReferenceSamples {
    std::string name;
    std::vector<std::int64_t> latency_ns;
    std::vector<std::int64_t> begin_ns;  // CLOCK_MONOTONIC_RAW
};

class ReferenceTurns {
  public:
    explicit ReferenceTurns(std::vector<Reference> references)
        : references_(std::move(references)) {}

    // Between two blocks: each runs once untimed and once timed, where at most a tenth of the time
    // goes into that. Returns whether they ran, and the caches are theirs.
    bool take_turn(Instruments& instruments);
    const std::vector<ReferenceSamples>& samples() const { return samples_; }

  private:
    std::vector<Reference> references_;
    std::vector<std::unique_ptr<LoadedModel>> models_;
    std::vector<ReferenceSamples> samples_;
    std::int64_t next_ns_ = 0;
};

}  // namespace edgeprof
