#include "base/version.h"

#ifndef EDGEPROF_VERSION
#error "EDGEPROF_VERSION is set by CMakeLists.txt"
#endif

namespace edgeprof {

const char* version() noexcept { return EDGEPROF_VERSION; }

}  // namespace edgeprof
