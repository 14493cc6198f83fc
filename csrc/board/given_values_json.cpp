#include "board/given_values_json.h"

#include <limits>

#include "board/json_fields.h"

namespace edgeprof {

namespace {

double read_real(const std::string& field, const json::Value& value) {
    const std::string* text = value.as_string();
    if (text == nullptr) {
        constexpr double kMost = std::numeric_limits<double>::max();
        return read_number(field, value, -kMost, kMost);
    }
    if (*text == "inf") return std::numeric_limits<double>::infinity();
    if (*text == "-inf") return -std::numeric_limits<double>::infinity();
    if (*text == "nan") return std::numeric_limits<double>::quiet_NaN();
    refuse(field, "numbers, 'inf', '-inf' or 'nan'");
}

void read_numbers(const std::string& field, const json::Array& items, GivenValues& given) {
    Integers integers;
    Reals reals;
    for (const json::Value& item : items) {
        if (const std::int64_t* integer = item.as_int()) integers.push_back(*integer);
    }
    if (integers.size() == items.size()) {
        given.values = std::move(integers);
        return;
    }
    for (const json::Value& item : items) reals.push_back(read_real(field, item));
    given.values = std::move(reals);
}

}  // namespace

GivenValues read_given_values(const std::string& field, const json::Value& value) {
    GivenValues given{{}, false, std::nullopt};
    bool has_values = false;
    for (const auto& [name, member] : read_object(field, value)) {
        if (name == "shape") {
            given.shape = read_integers(field + ".shape", member, 0, 1 << 30);
            continue;
        }
        const json::Array* items = member.as_array();
        if (items == nullptr) refuse(field, "lists");
        has_values = true;
        if (name == "texts") {
            Texts texts;
            for (const json::Value& item : *items) texts.push_back(read_string(field, item));
            given.values = std::move(texts);
        } else if (name == "values" || name == "range") {
            given.is_range = name == "range";
            read_numbers(field, *items, given);
        } else {
            refuse(field, "values, range or texts");
        }
    }
    if (!has_values || (given.is_range && given.size() != 2)) {
        refuse(field, "values, texts, or a range of two numbers");
    }
    if (given.is_range) {
        const auto is_ordered = [](const auto& ends) { return ends[0] <= ends[1]; };
        if (!std::visit(is_ordered, given.values)) refuse(field, "a range from low to high");
    }
    return given;
}

}  // namespace edgeprof
