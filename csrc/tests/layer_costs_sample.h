// Makes .edgp files of layer costs for tests; the format's owner is
// edgeprof/predictors/layers/tables_file.py.
#pragma once

#include <string>
#include <vector>

#include "tests/edgp_sample.h"

namespace edgeprof::layer_costs_sample {

using edgp_sample::Bytes;

// Two kinds ("conv", "move:slice") of two bases; every number of the tables is `value`. Each kind
// has a point of the wide function at the origin; the narrow one has none.
inline Bytes make(float value = 0.5F) {
    using edgp_sample::put;
    Bytes bytes = {'E', 'D', 'G', 'P'};
    put(bytes, 2, 2);
    put(bytes, 4, 2);
    put(bytes, 0, 4);
    const std::vector<unsigned> counts = {2, 2, 1, 2, 0, 1, 0, 8, 2, 1};
    for (const unsigned count : counts) put(bytes, count, 2);
    for (int i = 0; i < 3; ++i) edgp_sample::put_float(bytes, 1);
    for (const std::string& text : {std::string("a-device"), std::string("{}")})
        bytes.insert(bytes.end(), text.begin(), text.end());
    for (const std::string name : {"conv", "move:slice", "conv", "move"}) {
        put(bytes, name.size(), 1);
        bytes.insert(bytes.end(), name.begin(), name.end());
    }
    while (bytes.size() % 4 != 0) bytes.push_back(0);
    for (const unsigned number : {0U, 0U, 1U}) put(bytes, number, 2);  // column, points' kinds
    while (bytes.size() % 4 != 0) bytes.push_back(0);
    for (int i = 0; i < 4 * 8 + 2 * 8; ++i) edgp_sample::put_float(bytes, value);
    for (int i = 0; i < 2 * 6; ++i) edgp_sample::put_float(bytes, 0);
    for (int i = 0; i < 2; ++i) edgp_sample::put_float(bytes, value);
    for (int i = 0; i < 1 + 1 + 6 + 1; ++i) edgp_sample::put_float(bytes, 0);
    put(bytes, 0, 4);
    edgp_sample::seal(bytes);
    return bytes;
}

}  // namespace edgeprof::layer_costs_sample
