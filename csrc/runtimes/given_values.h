// Values that a job gives to an input, instead of those that are made up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace edgeprof {

using Integers = std::vector<std::int64_t>;
using Reals = std::vector<double>;
using Texts = std::vector<std::string>;

struct GivenValues {
    std::variant<Integers, Reals, Texts> values;  // one: of every element; else row by row
    bool is_range;                  // the values are the lowest and the highest to draw from
    std::optional<Integers> shape;  // of an array; a dynamic input is fed with it

    std::size_t size() const {
        return std::visit([](const auto& all) { return all.size(); }, values);
    }
};

}  // namespace edgeprof
