#include "runtimes/library.h"

#include <dlfcn.h>

#include <climits>
#include <cstdlib>

#include "base/error.h"

namespace edgeprof {

Library::Library(const std::string& path)
    : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)), path_(path) {
    if (handle_ == nullptr) {
        const char* reason = dlerror();
        throw Error(ErrorKind::kRuntimeUnavailable,
                    path + ": cannot be opened as a shared library: " +
                        (reason != nullptr ? reason : "no reason given"));
    }
    char resolved[PATH_MAX];
    if (realpath(path.c_str(), resolved) != nullptr) path_ = resolved;
}

void* Library::address_of(const char* symbol) const { return dlsym(handle_, symbol); }

void* Library::need_address_of(const char* symbol) const {
    void* address = address_of(symbol);
    if (address == nullptr) {
        throw Error(ErrorKind::kRuntimeUnavailable,
                    path_ + ": has no symbol " + symbol + ": not the runtime it was taken for");
    }
    return address;
}

}  // namespace edgeprof
