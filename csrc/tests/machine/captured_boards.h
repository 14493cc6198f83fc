#pragma once

#include <string>

namespace edgeprof {

// The root folder of a board that was captured (tests/data/boards).
inline std::string board(const std::string& name) {
    return std::string(EDGEPROF_TEST_BOARDS) + "/" + name;
}

}  // namespace edgeprof
