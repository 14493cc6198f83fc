#include "runtimes/backend.h"

#include "base/error.h"

namespace edgeprof {

namespace {

std::map<std::string, OpenRuntime>& provided_runtimes() {
    static std::map<std::string, OpenRuntime> provided;
    return provided;
}

}  // namespace

void provide_runtime(const std::string& name, OpenRuntime open) {
    provided_runtimes()[name] = open;
}

std::vector<OperatorTime> Runtime::profile(const LoadSettings&, std::size_t) {
    throw Error(ErrorKind::kUnsupportedModel, facts().name + " offers no profile by operator");
}

std::unique_ptr<Runtime> open_runtime(const std::string& name, const std::string& library_path) {
    if (name == "null") return open_null_runtime();
    if (name == "reference") return open_reference_runtime();
    if (library_path.empty()) {
        throw Error(ErrorKind::kInvalidJob, "runtime '" + name + "' needs the path of its library");
    }
    if (name == "onnxruntime") return open_onnxruntime(library_path);
    if (name == "litert") return open_litert(library_path);
    if (name == "tflite_c") return open_tflite_c(library_path);
    const auto provided = provided_runtimes().find(name);
    if (provided != provided_runtimes().end()) return provided->second(library_path);
    if (name == "tflite_runtime") {
        throw Error(ErrorKind::kRuntimeUnavailable,
                    "tflite_runtime has no C API: it runs where edgeprof's Python package is "
                    "installed, not through the program alone; name a libtensorflowlite_c.so "
                    "(tflite_c) instead");
    }
    throw Error(ErrorKind::kInvalidJob,
                "unknown runtime '" + name +
                    "'; known: litert, null, onnxruntime, tflite_c, tflite_runtime");
}

}  // namespace edgeprof
