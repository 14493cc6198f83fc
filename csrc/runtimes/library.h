// A shared library opened at run time.
#pragma once

#include <string>

namespace edgeprof {

class Library {
  public:
    // Opens it; throws Error(kRuntimeUnavailable) with the loader's reason. Never closed.
    explicit Library(const std::string& path);

    const std::string& path() const { return path_; }  // as the loader found it

    // The symbol as a function pointer, nullptr when the library has no such symbol.
    template <class Function>
    Function find(const char* symbol) const {
        return reinterpret_cast<Function>(address_of(symbol));
    }
    // The same; throws Error(kRuntimeUnavailable) when it is missing.
    template <class Function>
    Function need(const char* symbol) const {
        return reinterpret_cast<Function>(need_address_of(symbol));
    }

  private:
    void* address_of(const char* symbol) const;
    void* need_address_of(const char* symbol) const;

    void* handle_;
    std::string path_;
};

}  // namespace edgeprof
