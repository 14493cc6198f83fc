// `edgeprof-harness predict`: predictions on the board, without Python.
#pragma once

#include <iosfwd>
#include <string>

namespace edgeprof {

// Reads codes, one JSON array of integers a line, and prints {"latency_ms": ...} for each, in
// order. Returns whether all went well; if not, `complaint` says what did not.
bool predict_lines(const std::string& predictor_path, std::istream& in, std::ostream& out,
                   std::string& complaint);

// Reads a list of layers (docs/predictors.md, "Layer lists") and prints {"name": ..., "latency_ms":
// ...} of its network, predicted by an .edgp of layer costs. Returns as above.
bool predict_network(const std::string& predictor_path, const std::string& network_path,
                     std::ostream& out, std::string& complaint);

}  // namespace edgeprof
