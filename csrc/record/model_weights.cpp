#include "record/model_weights.h"

#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string_view>

#include "base/sha256.h"

namespace edgeprof {

namespace {

// Fields of onnx.proto.
constexpr std::uint64_t kModelGraph = 7;
constexpr std::uint64_t kGraphInitializer = 5;
constexpr std::uint64_t kTensorExternalData = 13;
constexpr std::uint64_t kEntryKey = 1;
constexpr std::uint64_t kEntryValue = 2;

// Reads a variable-length integer off the front; false at the end or when it is too long.
bool take_varint(std::string_view& bytes, std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) return true;
    }
    return false;
}

// Calls visit(content) for each length-delimited field of that number; ends where bytes are odd.
template <class Visit>
void for_each_field(std::string_view message, std::uint64_t number, Visit&& visit) {
    std::uint64_t tag = 0, size = 0;
    while (take_varint(message, tag)) {
        switch (tag & 7) {
            case 0:  // a varint
                if (!take_varint(message, size)) return;
                continue;
            case 1:
                size = 8;
                break;
            case 2:
                if (!take_varint(message, size)) return;
                break;
            case 5:
                size = 4;
                break;
            default:
                return;
        }
        if (size > message.size()) return;
        if ((tag & 7) == 2 && tag >> 3 == number) visit(message.substr(0, size));
        message.remove_prefix(size);
    }
}

std::string_view field_of(std::string_view message, std::uint64_t number) {
    std::string_view found;
    for_each_field(message, number, [&](std::string_view content) { found = content; });
    return found;
}

bool ends_with(const std::string& text, std::string_view ending) {
    return text.size() >= ending.size() &&
           text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

}  // namespace

std::vector<std::string> external_locations(const std::string& model_bytes) {
    std::set<std::string> locations;
    for_each_field(model_bytes, kModelGraph, [&](std::string_view graph) {
        for_each_field(graph, kGraphInitializer, [&](std::string_view tensor) {
            for_each_field(tensor, kTensorExternalData, [&](std::string_view entry) {
                if (field_of(entry, kEntryKey) != "location") return;
                locations.emplace(field_of(entry, kEntryValue));
            });
        });
    });
    return {locations.begin(), locations.end()};
}

std::optional<ExternalWeights> external_weights(const std::string& model_path) {
    if (!ends_with(model_path, ".onnx")) return std::nullopt;
    struct stat facts = {};
    if (stat(model_path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return std::nullopt;
    std::ifstream file(model_path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const std::string folder = model_path.substr(0, model_path.rfind('/') + 1);
    ExternalWeights weights{"", 0};
    const std::vector<std::string> locations = external_locations(bytes);
    for (const std::string& location : locations) {
        const std::string path = folder + location;
        const std::string sha256 = remembered_sha256(path);
        if (sha256.empty() || stat(path.c_str(), &facts) != 0) return std::nullopt;
        weights.sha256 += sha256;
        weights.bytes += facts.st_size;
    }
    if (locations.empty()) return std::nullopt;
    if (locations.size() > 1) weights.sha256 = sha256_of_bytes(weights.sha256);
    return weights;
}

}  // namespace edgeprof
