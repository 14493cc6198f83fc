// ONNX Runtime's library: opened, its table read, its environment made.
#pragma once

#include <string>

#include "base/error.h"
#include "base/owned.h"
#include "runtimes/library.h"
#include "runtimes/ort/ort_api.h"
#include "runtimes/reason.h"

namespace edgeprof {

// The library, its table and its environment; models keep it alive.
struct OrtCore {
    explicit OrtCore(const std::string& path);

    Library library;
    const ort::ApiBase* base;
    ort::Api api;
    Owned<ort::Env> env;
    std::string version;

    // Message of a failed call, without places in the runtime's source; releases it.
    std::string message_of(ort::Status* status) const {
        const std::string message = without_source_paths(api.GetErrorMessage(status));
        api.ReleaseStatus(status);
        return message;
    }
    // Throws Error(kind) with the runtime's message when a call failed.
    void check(ort::Status* status, ErrorKind kind, const std::string& what) const {
        if (status != nullptr) throw Error(kind, what + ": " + message_of(status));
    }
    template <class T>
    Owned<T> own(T* object, void (*release)(T*)) const {
        return Owned<T>(object, release);
    }

  private:
    static const ort::ApiBase* base_of(const Library& library);
    static const void* const* table_of(const ort::ApiBase& base, const Library& library);
};

}  // namespace edgeprof
