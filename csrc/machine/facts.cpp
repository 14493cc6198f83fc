#include "machine/facts.h"

#include <cstdio>
#include <utility>

#include "machine/system_files.h"

namespace edgeprof {
namespace {

// Text from files of any origin as plain ASCII: a device tree may hold any byte.
std::string printable(std::string text) {
    for (char& c : text) {
        if (c == '\t' || c == '\n') c = ' ';
        if (c < 0x20 || c > 0x7e) c = '?';
    }
    return text;
}

}  // namespace

void Facts::add(const char* name, const std::optional<std::string>& value) {
    if (value && !value->empty()) put(name, printable(*value));
}

void Facts::add(const char* name, std::optional<std::int64_t> value) {
    if (value) put(name, *value);
}

void Facts::add_number(const char* name, std::optional<double> value) {
    if (value) put(name, *value);
}

void Facts::add_flag(const char* name, std::optional<bool> value) {
    if (value) put(name, *value);
}

void Facts::add(const char* name, const std::vector<std::string>& values) {
    json::Array list;
    for (const std::string& value : values) list.emplace_back(printable(value));
    if (!list.empty()) put(name, std::move(list));
}

void Facts::add(const char* name, const std::vector<int>& values) {
    json::Array list;
    for (const int value : values) list.emplace_back(std::int64_t{value});
    if (!list.empty()) put(name, std::move(list));
}

void Facts::add(const char* name, std::vector<Facts> values) {
    json::Array list;
    for (Facts& value : values) list.emplace_back(std::move(value.members_));
    if (!list.empty()) put(name, std::move(list));
}

void Facts::add(const char* name, Facts value) {
    if (!value.members_.empty()) put(name, std::move(value.members_));
}

std::string Facts::text() const {
    json::Writer writer;
    writer.value(json::Value(members_));
    return writer.text();
}

void Facts::put(const char* name, json::Value::Storage value) {
    members_.emplace_back(name, json::Value(std::move(value)));
}

std::optional<bool> as_flag(std::optional<std::int64_t> value) {
    if (!value) return std::nullopt;
    return *value != 0;
}

Pairs read_pairs(const std::optional<std::string>& text, char separator) {
    Pairs pairs;
    for (const std::string& line : split(text.value_or(""), "\n")) {
        const auto at = line.find(separator);
        if (at == std::string::npos) continue;
        const auto key_end = line.find_last_not_of(" \t", at == 0 ? 0 : at - 1);
        const auto value = line.find_first_not_of(" \t\"'", at + 1);
        std::string text_of_value = value == std::string::npos ? "" : line.substr(value);
        const auto value_end = text_of_value.find_last_not_of(" \t\"'");
        text_of_value.erase(value_end == std::string::npos ? 0 : value_end + 1);
        pairs.emplace(line.substr(0, key_end + 1), std::move(text_of_value));
    }
    return pairs;
}

std::optional<std::string> find(const Pairs& pairs, const char* key) {
    const auto at = pairs.find(key);
    if (at == pairs.end() || at->second.empty()) return std::nullopt;
    return at->second;
}

std::string hexadecimal(std::uint32_t value) {
    char text[16];
    std::snprintf(text, sizeof text, "0x%x", static_cast<unsigned>(value));
    return text;
}

}  // namespace edgeprof
