#include "board/predict_command.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <istream>
#include <ostream>
#include <vector>

#include "base/json.h"
#include "predictor/layer_costs.h"
#include "predictor/predictor.h"

namespace edgeprof {
namespace {

constexpr std::size_t kMaxListBytes = 64 * 1024 * 1024;

// The file's bytes, not many more than it may have; false when it cannot be read.
template <class Bytes>
bool read_file(const std::string& path, std::size_t most, Bytes& bytes) {
    std::ifstream file(path, std::ios::binary);
    char chunk[8192];
    while (file && bytes.size() <= most) {
        file.read(chunk, sizeof chunk);
        bytes.insert(bytes.end(), chunk, chunk + file.gcount());
    }
    return file.eof() || bytes.size() > most;
}

// Reads the predictor of a file; false with a complaint where it is none.
template <class Predictor>
bool load_predictor(const std::string& path, Predictor& predictor, std::string& complaint) {
    std::vector<std::uint8_t> bytes;
    if (!read_file(path, Predictor::kMaxFileBytes, bytes)) {
        complaint = path + ": cannot be read: " + std::strerror(errno);
        return false;
    }
    const PredictorOutcome outcome = predictor.load(bytes.data(), bytes.size());
    if (!outcome.ok()) complaint = path + ": " + outcome.message;
    return outcome.ok();
}

// The codes of a line; an empty complaint is success.
std::string parse_codes(const std::string& line, std::size_t n_columns,
                        std::vector<std::uint8_t>& codes) {
    json::Value value;
    try {
        value = json::parse(line);
    } catch (const json::ParseError& error) {
        return std::string("is no JSON: ") + error.what();
    }
    const json::Array* items = value.as_array();
    if (items == nullptr || items->size() != n_columns)
        return "want a JSON array of " + std::to_string(n_columns) + " codes";
    codes.clear();
    for (const json::Value& item : *items) {
        const std::int64_t* code = item.as_int();
        if (code == nullptr || *code < 0 || *code > 255) return "codes are integers from 0 to 255";
        codes.push_back(static_cast<std::uint8_t>(*code));
    }
    return "";
}

// Where a field of a layer belongs, or null.
double* place_of(LayerNumbers& layer, const std::string& field) {
    if (field == "count") return &layer.count;
    for (std::size_t i = 0; i < LayerNumbers::kQuantities; ++i) {
        if (field == LayerNumbers::kQuantityNames[i]) return &layer.quantities[i];
    }
    for (std::size_t i = 0; i < LayerNumbers::kSizes; ++i) {
        if (field == LayerNumbers::kSizeNames[i]) return &layer.sizes[i];
    }
    return nullptr;
}

// A layer of a list; an empty complaint is success.
std::string parse_layer(const json::Value& item, const LayerCosts& costs, LayerNumbers& layer) {
    const json::Value* kind = item.find("kind");
    if (kind == nullptr || kind->as_string() == nullptr) return "want an object with a kind";
    layer.kind = costs.find_kind(*kind->as_string());
    if (layer.kind == LayerCosts::kNoKind) return "no layer is of kind " + *kind->as_string();
    for (const auto& [field, value] : *item.as_object()) {
        if (field == "kind") continue;
        double* place = place_of(layer, field);
        if (place == nullptr) return "unknown field " + field;
        if (const std::int64_t* integer = value.as_int())
            *place = static_cast<double>(*integer);
        else if (const double* real = value.as_double())
            *place = *real;
        else
            return field + " is no number";
    }
    return "";
}

// The layers of a list and its name; an empty complaint is success.
std::string parse_network(const std::string& text, const LayerCosts& costs, std::string& name,
                          std::vector<LayerNumbers>& layers) {
    json::Value list;
    try {
        list = json::parse(text);
    } catch (const json::ParseError& error) {
        return std::string("is no JSON: ") + error.what();
    }
    const json::Value* version = list.find("version");
    const json::Value* items = list.find("layers");
    const bool is_list = version != nullptr && version->as_int() != nullptr &&
                         *version->as_int() == 1 && items != nullptr &&
                         items->as_array() != nullptr && !items->as_array()->empty();
    if (!is_list) return "is no list of layers of version 1";
    if (const json::Value* given = list.find("name"); given != nullptr && given->as_string())
        name = *given->as_string();
    for (const json::Value& item : *items->as_array()) {
        layers.emplace_back();
        const std::string complaint = parse_layer(item, costs, layers.back());
        if (!complaint.empty())
            return "layer " + std::to_string(layers.size() - 1) + ": " + complaint;
    }
    return "";
}

}  // namespace

bool predict_network(const std::string& predictor_path, const std::string& network_path,
                     std::ostream& out, std::string& complaint) {
    LayerCosts costs;
    if (!load_predictor(predictor_path, costs, complaint)) return false;
    std::string text;
    if (!read_file(network_path, kMaxListBytes, text)) {
        complaint = network_path + ": cannot be read: " + std::strerror(errno);
        return false;
    }
    std::string name;
    std::vector<LayerNumbers> layers;
    complaint =
        text.size() > kMaxListBytes ? "is oversized" : parse_network(text, costs, name, layers);
    double latency_ms = 0;
    if (complaint.empty()) {
        const std::size_t good = costs.predict_ms(layers.data(), layers.size(), &latency_ms);
        if (good < layers.size())
            complaint = "layer " + std::to_string(good) + ": a number is out of range";
    }
    if (!complaint.empty()) {
        complaint = network_path + ": " + complaint;
        return false;
    }
    json::Writer writer;
    writer.begin_object().member("name", name).member("latency_ms", latency_ms).end_object();
    out << writer.text() << '\n';
    if (!out.flush()) complaint = "the prediction cannot be written";
    return complaint.empty();
}

bool predict_lines(const std::string& predictor_path, std::istream& in, std::ostream& out,
                   std::string& complaint) {
    CompactPredictor predictor;
    if (!load_predictor(predictor_path, predictor, complaint)) return false;
    std::string line;
    std::vector<std::uint8_t> codes;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        complaint = parse_codes(line, predictor.n_columns(), codes);
        double latency_ms = 0;
        BadCode bad{};
        if (complaint.empty() && !predictor.predict_ms(codes.data(), 1, &latency_ms, &bad))
            complaint = "code " + std::to_string(codes[bad.column]) + " in column " +
                        std::to_string(bad.column) + ", want less than " +
                        std::to_string(predictor.cardinality(bad.column));
        if (!complaint.empty()) {
            complaint = "line " + std::to_string(number) + ": " + complaint;
            return false;
        }
        json::Writer writer;
        writer.begin_object().member("latency_ms", latency_ms).end_object();
        out << writer.text() << '\n';
    }
    if (!out.flush()) complaint = "predictions cannot be written";
    return complaint.empty();
}

}  // namespace edgeprof
