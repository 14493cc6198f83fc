// The seam to inference runtimes: open a library, load a model, invoke it.
//
// A runtime is opened at run time (dlopen), never linked and never closed: its threads and
// static destructors would outlive the mapping. Each runtime implements the two classes: ort_*,
// litert_*, tflite_c_backend, bind_tflite_runtime; backend.cpp lists them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "runtimes/given_values.h"
#include "timing/loaded_model.h"

namespace edgeprof {

// What a model is loaded with. No defaults: each of them changes what is measured.
struct LoadSettings {
    std::string model_path;
    int threads;
    std::uint64_t seed;                                       // of the inputs' values
    std::map<std::string, std::vector<std::int64_t>> shapes;  // input name -> shape
    std::map<std::string, GivenValues> inputs;  // by name, or by type for all inputs of it
    json::Value options;  // the runtime's own, as the job gave them; unknown ones are refused
};

struct RuntimeFacts {
    std::string name;          // as jobs name it: onnxruntime, litert, tflite_c, ...
    std::string version;       // what the library says of itself; empty when it cannot
    std::string library_path;  // resolved; empty for the null runtime
};

// Mean time of one operator of the model per inference, as the runtime itself reports it.
struct OperatorTime {
    std::string name;
    std::string type;
    std::int64_t mean_ns;
};

class Runtime {
  public:
    virtual ~Runtime() = default;
    virtual const RuntimeFacts& facts() const = 0;
    // Throws Error: kInvalidModel, kUnsupportedModel, kInvalidJob (options).
    virtual std::unique_ptr<LoadedModel> load(const LoadSettings& settings) = 0;
    // Whether profile() can be asked for: to be known before anything is timed.
    virtual bool has_profiler() const { return false; }
    // Loads the model a second time with the runtime's profiler on, warms it up and runs it n
    // times: the operators in the order of execution. Throws Error(kUnsupportedModel) where the
    // runtime has no profiler.
    virtual std::vector<OperatorTime> profile(const LoadSettings& settings, std::size_t n_runs);
};

// Opens the runtime of that name from that library. Throws Error(kRuntimeUnavailable).
std::unique_ptr<Runtime> open_runtime(const std::string& name, const std::string& library_path);

// Adds a runtime that only this process can open (one driven through Python) to those of
// open_runtime. To be called before any job runs.
using OpenRuntime = std::unique_ptr<Runtime> (*)(const std::string& library_path);
void provide_runtime(const std::string& name, OpenRuntime open);

// One per runtime; library_path as for dlopen.
std::unique_ptr<Runtime> open_onnxruntime(const std::string& library_path);
std::unique_ptr<Runtime> open_litert(const std::string& library_path);
std::unique_ptr<Runtime> open_tflite_c(const std::string& library_path);
std::unique_ptr<Runtime> open_null_runtime();
std::unique_ptr<Runtime> open_reference_runtime();

// The models of the reference runtime, by "path".
inline constexpr const char* kArithmeticReference = "reference:arithmetic";
inline constexpr const char* kMemoryReference = "reference:memory";

// Whether models of that runtime are files.
inline bool has_model_files(const std::string& runtime) {
    return runtime != "null" && runtime != "reference";
}

}  // namespace edgeprof
