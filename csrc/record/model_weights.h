// The weights that a model keeps outside of its own file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace edgeprof {

// The files that the initialisers of an ONNX model name as their place (TensorProto.external_data,
// key "location"), each once, sorted. Pure; of bytes that are no model, what was found so far.
std::vector<std::string> external_locations(const std::string& model_bytes);

struct ExternalWeights {
    std::string sha256;  // of the file; of several, of their hashes one after the other
    std::int64_t bytes;
};

// None when the model is no .onnx file, keeps all in it, or a file is missing.
std::optional<ExternalWeights> external_weights(const std::string& model_path);

}  // namespace edgeprof
