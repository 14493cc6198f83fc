#include "runtimes/input_shapes.h"

#include <algorithm>

#include "base/error.h"
#include "runtimes/input_values.h"

namespace edgeprof {

namespace {

// [batch, 3, ?, 224]
std::string shape_text(const std::vector<std::int64_t>& shape,
                       const std::vector<std::string>& symbols) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (i > 0) text += ", ";
        if (shape[i] >= 0) {
            text += std::to_string(shape[i]);
        } else {
            text += i < symbols.size() && !symbols[i].empty() ? symbols[i] : "?";
        }
    }
    return text + "]";
}

}  // namespace

std::vector<std::int64_t> shape_to_feed(const TensorFacts& facts,
                                        const std::vector<std::string>& symbols,
                                        const LoadSettings& settings) {
    const std::string input = settings.model_path + ": input '" + facts.name + "' ";
    if (bytes_per_element(facts.type) == 0) {
        throw Error(ErrorKind::kUnsupportedModel,
                    input + "is of type " + facts.type + ", for which no values can be made");
    }
    const std::vector<std::int64_t>& own = facts.shape;
    const std::string where = input + "has the shape " + shape_text(own, symbols);
    const auto given = settings.shapes.find(facts.name);
    if (given == settings.shapes.end()) {
        if (std::none_of(own.begin(), own.end(), [](std::int64_t n) { return n < 0; })) return own;
        std::string example;
        for (const std::int64_t n : own) {
            example += (example.empty() ? "" : ",") + std::to_string(n < 0 ? 1 : n);
        }
        throw Error(ErrorKind::kInvalidModel, where +
                                                  " with dynamic dimensions; fix them, e.g. "
                                                  "--shape " +
                                                  facts.name + "=" + example);
    }
    const bool fits = std::equal(
        own.begin(), own.end(), given->second.begin(), given->second.end(),
        [](std::int64_t n, std::int64_t wanted) { return wanted > 0 && (n < 0 || n == wanted); });
    if (!fits) {
        throw Error(ErrorKind::kInvalidJob, where + ", which the given shape does not fit");
    }
    return given->second;
}

void refuse_unknown_inputs(const std::vector<TensorFacts>& inputs, const LoadSettings& settings) {
    for (const auto& given : settings.shapes) {
        const std::string& name = given.first;
        std::string known;
        bool is_known = false;
        for (const TensorFacts& input : inputs) {
            is_known = is_known || input.name == name;
            known += (known.empty() ? "" : ", ") + input.name;
        }
        if (!is_known) {
            throw Error(ErrorKind::kInvalidJob, settings.model_path + ": has no input '" + name +
                                                    "' to give a shape; its inputs: " + known);
        }
    }
}

}  // namespace edgeprof
