// The interface that is timed: a loaded model and its inferences. The runtimes implement it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace edgeprof {

struct TensorFacts {
    std::string name;
    std::string type;  // numpy's names: float32, int64 ...
    std::vector<std::int64_t> shape;
};

// A model ready to run, with inputs bound and outputs allocated.
class LoadedModel {
  public:
    virtual ~LoadedModel() = default;

    // Runs one inference to its end (device work included). Stands in the timed region: does not
    // throw, and returns false when the runtime reports an error, which failure() then tells.
    virtual bool invoke() noexcept = 0;
    virtual std::string failure() const = 0;

    virtual const std::vector<TensorFacts>& inputs() const = 0;
    virtual const std::vector<TensorFacts>& outputs() const = 0;

    // The elements of an output of the last inference, as they lie in memory: for comparing
    // machines and runtimes. Throws Error(kUnsupportedModel) where a runtime does not give them.
    virtual std::vector<std::uint8_t> output_bytes(std::size_t) const {
        throw Error(ErrorKind::kUnsupportedModel,
                    "this runtime does not give the outputs of a model");
    }

    // Whether inferences run on a device that raises its clocks only under load.
    virtual bool has_device() const { return false; }

    // The options in force, defaults included, as a JSON object.
    virtual std::string options_json() const = 0;
};

}  // namespace edgeprof
