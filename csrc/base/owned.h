// An object of a runtime that is given back by the runtime's own function.
#pragma once

#include <memory>

namespace edgeprof {

template <class T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

}  // namespace edgeprof
