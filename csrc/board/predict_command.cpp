#include "board/predict_command.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <istream>
#include <ostream>
#include <vector>

#include "base/json.h"
#include "predictor/predictor.h"

namespace edgeprof {
namespace {

// The file's bytes, at most one more than a predictor may have; false when it cannot be read.
bool read_file(const std::string& path, std::vector<std::uint8_t>& bytes) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return false;
    bytes.resize(CompactPredictor::kMaxFileBytes + 1);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (file.bad()) return false;
    bytes.resize(static_cast<std::size_t>(file.gcount()));
    return true;
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

}  // namespace

bool predict_lines(const std::string& predictor_path, std::istream& in, std::ostream& out,
                   std::string& complaint) {
    std::vector<std::uint8_t> bytes;
    if (!read_file(predictor_path, bytes)) {
        complaint = predictor_path + ": cannot be read: " + std::strerror(errno);
        return false;
    }
    CompactPredictor predictor;
    const PredictorOutcome outcome = predictor.load(bytes.data(), bytes.size());
    if (!outcome.ok()) {
        complaint = predictor_path + ": " + outcome.message;
        return false;
    }
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
