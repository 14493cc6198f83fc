#include "runtimes/ort/ort_core.h"

#include <cstdlib>

namespace edgeprof {

namespace {

// Releases >= 1.29 start telemetry threads when they are opened; another process's threads on the
// measured core are noise. Must stand in the environment before dlopen.
const std::string& without_telemetry(const std::string& path) {
    // Once: setenv is not safe beside the getenv of another job's runtime.
    static const int is_set = setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    static_cast<void>(is_set);
    return path;
}

}  // namespace

const ort::ApiBase* OrtCore::base_of(const Library& library) {
    return library.need<const ort::ApiBase* (*)()>("OrtGetApiBase")();
}

const void* const* OrtCore::table_of(const ort::ApiBase& base, const Library& library) {
    const void* const* table = base.GetApi(ort::kApiVersion);
    if (table == nullptr) {
        throw Error(ErrorKind::kRuntimeUnavailable, library.path() + ": ONNX Runtime " +
                                                        base.GetVersionString() +
                                                        " is too old; needs 1.12 or newer");
    }
    return table;
}

OrtCore::OrtCore(const std::string& path)
    : library(without_telemetry(path)),
      base(base_of(library)),
      api(table_of(*base, library)),
      env(nullptr, api.ReleaseEnv),
      version(base->GetVersionString()) {
    ort::Env* created = nullptr;
    check(api.CreateEnv(ort::kLogFatal, "edgeprof", &created), ErrorKind::kRuntimeUnavailable,
          library.path());
    env.reset(created);
}

}  // namespace edgeprof
