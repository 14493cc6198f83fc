// Values of an input in a job line:
//     {"values": [1, 2.5, "-inf"], "shape": [1, 3]}   row by row; one alone is that of every
//     element
//     {"range": [0, 99]}                              drawn: integers with both ends, reals below
//     it
//     {"texts": ["hello"], "shape": [1]}
#pragma once

#include <string>

#include "base/json.h"
#include "runtimes/given_values.h"

namespace edgeprof {

// Throws Error(kInvalidJob), naming the field.
GivenValues read_given_values(const std::string& field, const json::Value& value);

}  // namespace edgeprof
