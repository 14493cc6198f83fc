// LiteRT's library: opened, its functions found, its environment made.
#pragma once

#include <string>

#include "base/error.h"
#include "base/owned.h"
#include "runtimes/library.h"
#include "runtimes/litert/litert_api.h"

namespace edgeprof {

// The library and its environment; models keep it alive.
struct LiteRtCore {
    explicit LiteRtCore(const std::string& path);

    // Throws Error(kind) with the runtime's message when a call failed.
    void check(litert::Status status, ErrorKind kind, const std::string& what) const {
        if (status != litert::kOk) throw Error(kind, what + ": " + text_of(status));
    }
    std::string text_of(litert::Status status) const;
    // The release of the wheel that the library came with; empty where it did not.
    std::string version() const;

    Library library;
    litert::Api api;
    Owned<litert::EnvironmentT> environment;
};

}  // namespace edgeprof
