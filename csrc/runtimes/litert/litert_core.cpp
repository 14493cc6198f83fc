#include "runtimes/litert/litert_core.h"

#include <glob.h>

namespace edgeprof {

LiteRtCore::LiteRtCore(const std::string& path)
    : library(path), api(library), environment(nullptr, api.destroy_environment) {
    litert::EnvironmentT* created = nullptr;
    check(api.create_environment(0, nullptr, &created), ErrorKind::kRuntimeUnavailable,
          library.path() + ": no environment");
    environment.reset(created);
}

std::string LiteRtCore::text_of(litert::Status status) const {
    const std::string number = "LiteRT status " + std::to_string(status);
    if (api.status_string == nullptr) return number;
    const char* text = api.status_string(status);
    return text == nullptr ? number : number + " (" + text + ")";
}

// The library does not say its version; the wheel does, by the name of the folder beside its own.
std::string LiteRtCore::version() const {
    const std::string& path = library.path();
    const std::string marker = "ai_edge_litert-";
    const std::string pattern =
        path.substr(0, path.rfind('/') + 1) + "../" + marker + "*.dist-info";
    glob_t found{};
    std::string version;
    if (glob(pattern.c_str(), 0, nullptr, &found) == 0 && found.gl_pathc == 1) {
        const std::string folder = found.gl_pathv[0];
        const std::size_t begin = folder.rfind(marker) + marker.size();
        version = folder.substr(begin, folder.rfind(".dist-info") - begin);
    }
    globfree(&found);
    return version;
}

}  // namespace edgeprof
