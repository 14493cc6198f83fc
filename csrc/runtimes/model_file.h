// What a model file says of its inputs, where no runtime tells: unknown ranks, dynamic dimensions,
// signatures. Reads ONNX (protobuf) and TFLite (FlatBuffers) as far as that, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace edgeprof {

struct FileInput {
    std::string name;
    bool has_rank;                    // false: the file gives no shape
    std::vector<std::int64_t> shape;  // negative: dynamic
};

// An entry point of a TFLite file.
struct FileSignature {
    std::string name;
    std::size_t subgraph;
    std::vector<FileInput> inputs;  // by the signature's names
};

struct ModelFile {
    std::vector<FileInput> inputs;  // of the graph, or of the first subgraph; in their order
    std::vector<FileSignature> signatures;
    std::size_t n_subgraphs;  // 0: an ONNX file

    const FileInput* find_input(const std::string& name) const;
};

// Writes what was chosen of a TFLite file into an object: "signature" and, where there is a choice,
// all "signatures" and the number of "subgraphs". Nothing for a file that could not be read.
void write_entry_points(json::Writer& writer, const ModelFile& file, std::size_t signature);

// Nothing when the file cannot be read or is torn: the runtime then says what is wrong with it.
std::optional<ModelFile> read_model_file(const std::string& path);

// The same for the bytes of a file. Pure.
std::optional<ModelFile> parse_model_file(std::string_view bytes);

}  // namespace edgeprof
