#pragma once

#include <pybind11/pybind11.h>

namespace edgeprof {

// Adds the class CompactPredictor to the extension module.
void bind_predictor(pybind11::module_& module);

}  // namespace edgeprof
