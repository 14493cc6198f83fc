#include "runtimes/input_shapes.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <type_traits>

#include "base/error.h"
#include "runtimes/input_values.h"

namespace edgeprof {

namespace {

using ShapeOf = std::vector<std::int64_t>;
using Named = std::map<std::string, std::int64_t>;  // sizes of dimensions by their names

bool is_fixed(const ShapeOf& shape) {
    return std::none_of(shape.begin(), shape.end(), [](std::int64_t n) { return n < 0; });
}

std::string symbol_of(const ModelInput& input, std::size_t index) {
    return index < input.symbols.size() ? input.symbols[index] : "";
}

// [batch, 3, ?, 224]
std::string shape_text(const ModelInput& input) {
    if (!input.has_rank) return "of unknown rank";
    std::string text = "[";
    for (std::size_t i = 0; i < input.facts.shape.size(); ++i) {
        const std::string symbol = symbol_of(input, i);
        if (i > 0) text += ", ";
        if (input.facts.shape[i] >= 0) {
            text += std::to_string(input.facts.shape[i]);
        } else {
            text += symbol.empty() ? "?" : symbol;
        }
    }
    return text + "]";
}

// Sizes that open dimensions often have: of images, their channels, sequences.
struct Usual {
    std::int64_t image, channels, length;
};
constexpr Usual kUsual[] = {{224, 3, 1},  {224, 3, 128}, {48, 3, 512}, {320, 3, 576},
                            {640, 3, 16}, {32, 1, 64},   {64, 1, 1},   {224, 1, 16000}};
constexpr std::size_t kMostTriedBytes = 1u << 26;  // of one input
constexpr std::chrono::seconds kMostTrying{5};

std::int64_t usual_size(const ModelInput& input, std::size_t index, const Named& named,
                        const Usual& usual) {
    const ShapeOf& own = input.facts.shape;
    if (own[index] >= 0) return own[index];
    const auto known = named.find(symbol_of(input, index));
    if (known != named.end()) return known->second;
    if (index == 0 || (index == 1 && own.size() == 3 && own[2] >= 0)) return 1;  // a batch
    if (own.size() != 4) return usual.length;
    const auto is_channels = [&](std::size_t i) { return own[i] == 1 || own[i] == 3; };
    const std::size_t channels = is_channels(3) && !is_channels(1) ? 3 : 1;
    const bool is_image = is_channels(channels) ||
                          std::all_of(own.begin() + 1, own.end(), [](auto n) { return n < 0; });
    if (!is_image) return usual.length;
    if (index == channels) return usual.channels;
    const std::size_t other = (channels == 1 ? 5 : 3) - index;  // of height and width
    return own[other] > 0 ? own[other] : usual.image;
}

// The inputs with a size in the place of each open dimension; one name has one size.
std::vector<TensorFacts> filled(const std::vector<const ModelInput*>& open, Named named,
                                const Usual& usual) {
    std::vector<TensorFacts> all;
    for (const ModelInput* input : open) {
        TensorFacts& facts = all.emplace_back(input->facts);
        for (std::size_t i = 0; i < facts.shape.size(); ++i) {
            facts.shape[i] = usual_size(*input, i, named, usual);
            if (!symbol_of(*input, i).empty()) named[symbol_of(*input, i)] = facts.shape[i];
        }
    }
    return all;
}

// A word as a shell takes it.
std::string quoted(const std::string& word) {
    const bool is_plain = std::all_of(word.begin(), word.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
               std::string("_-.,:/=+@").find(c) != std::string::npos;
    });
    if (is_plain) return word;
    std::string text = "'";
    for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
    return text + "'";
}

// The options that give the shapes; without any, the sizes are left to the reader.
std::string proposal(const std::vector<const ModelInput*>& open,
                     const std::vector<TensorFacts>* shapes) {
    std::string options;
    for (std::size_t k = 0; k < open.size(); ++k) {
        const ShapeOf& own = open[k]->facts.shape;
        std::string sizes = open[k]->has_rank ? "" : ",SIZE,SIZE,...";
        for (std::size_t i = 0; i < own.size(); ++i) {
            const bool is_known = shapes != nullptr || own[i] >= 0;
            sizes += "," + (is_known ? std::to_string(shapes ? (*shapes)[k].shape[i] : own[i])
                                     : std::string("SIZE"));
        }
        options +=
            " --shape " + quoted(open[k]->facts.name + "=" + sizes.substr(sizes.empty() ? 0 : 1));
    }
    return options;
}

// The first usual shapes that work; nothing where none of those that could be tried does.
std::optional<std::vector<TensorFacts>> shapes_that_work(const std::vector<const ModelInput*>& open,
                                                         const Named& named,
                                                         const TryShapes& works) {
    const auto begin = std::chrono::steady_clock::now();
    for (const Usual& usual : kUsual) {
        const std::vector<TensorFacts> tried = filled(open, named, usual);
        const bool is_small = std::all_of(tried.begin(), tried.end(), [](const auto& facts) {
            return count_elements(facts.shape) * bytes_per_element(facts.type) <= kMostTriedBytes;
        });
        if (is_small && works(tried)) return tried;
        if (std::chrono::steady_clock::now() - begin > kMostTrying) break;
    }
    return std::nullopt;
}

[[noreturn]] void ask_for_shapes(const std::vector<const ModelInput*>& open, const Named& named,
                                 const LoadSettings& settings, const TryShapes& works) {
    std::string inputs;
    bool has_ranks = true;
    for (const ModelInput* input : open) {
        inputs +=
            (inputs.empty() ? "" : ", ") + ("'" + input->facts.name) + "' " + shape_text(*input);
        has_ranks = has_ranks && input->has_rank;
    }
    std::optional<std::vector<TensorFacts>> shapes = filled(open, named, kUsual[0]);
    const bool is_tried = works && has_ranks;
    if (is_tried) shapes = shapes_that_work(open, named, works);
    throw Error(
        ErrorKind::kInvalidModel,
        settings.model_path + ": dynamic shapes of its inputs " + inputs +
            (shapes ? "; give them, e.g." : "; the usual ones do not work; give them as in") +
            proposal(open, shapes ? &*shapes : nullptr));
}

// What the job says of an input's shape, which values that are an array have too.
std::optional<ShapeOf> given_shape(const ModelInput& input, const LoadSettings& settings) {
    const auto given = settings.shapes.find(input.facts.name);
    if (given != settings.shapes.end()) return given->second;
    if (input.has_rank && is_fixed(input.facts.shape)) return std::nullopt;
    const GivenValues* values = given_values(input.facts, settings);
    return values == nullptr ? std::nullopt : values->shape;
}

void check_fits(const ModelInput& input, const ShapeOf& given, const LoadSettings& settings) {
    const ShapeOf& own = input.facts.shape;
    const bool fits =
        !input.has_rank ||
        std::equal(own.begin(), own.end(), given.begin(), given.end(),
                   [](std::int64_t n, std::int64_t wanted) { return n < 0 || n == wanted; });
    if (fits) return;
    throw Error(ErrorKind::kInvalidJob, settings.model_path + ": input '" + input.facts.name +
                                            "' has the shape " + shape_text(input) +
                                            ", which the given shape does not fit");
}

void check_type(const TensorFacts& facts, const LoadSettings& settings) {
    const bool is_made = bytes_per_element(facts.type) > 0;
    if (is_made || (facts.type == "string" && given_values(facts, settings) != nullptr)) return;
    throw Error(
        ErrorKind::kUnsupportedModel,
        settings.model_path + ": input '" + facts.name + "' is of type " + facts.type +
            ", for which no values can be made" +
            (facts.type == "string" ? "; give one, as in --input " + quoted(facts.name + "=hello")
                                    : ""));
}

// What a machine's memory cannot hold is refused before anything is allocated, and before the
// number of elements overflows.
void check_memory(const TensorFacts& facts, const LoadSettings& settings) {
    constexpr double kGiB = 1073741824.0;
    double n_bytes = static_cast<double>(bytes_per_element(facts.type));
    std::string shape;
    for (const std::int64_t n : facts.shape) {
        n_bytes *= static_cast<double>(n);
        shape += (shape.empty() ? "" : ",") + std::to_string(n);
    }
    const double memory =
        static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
    if (memory <= 0.0 || n_bytes <= memory) return;
    char sizes[80];
    std::snprintf(sizes, sizeof sizes, " takes %.3g GiB, of %.3g GiB of memory", n_bytes / kGiB,
                  memory / kGiB);
    throw Error(ErrorKind::kInvalidJob,
                settings.model_path + ": input '" + facts.name + "' of shape " + shape + sizes);
}

// What the job gives must be for an input that is there.
template <class Given>
void refuse_unknown(const std::vector<ModelInput>& inputs, const std::map<std::string, Given>& all,
                    const LoadSettings& settings, const char* what) {
    for (const auto& given : all) {
        std::string known;
        bool is_known = false;
        for (const ModelInput& input : inputs) {
            is_known = is_known || input.facts.name == given.first ||
                       (std::is_same_v<Given, GivenValues> && input.facts.type == given.first);
            known += (known.empty() ? "" : ", ") + input.facts.name;
        }
        if (is_known) continue;
        throw Error(ErrorKind::kInvalidJob, settings.model_path + ": has no input '" + given.first +
                                                "' to give " + what + "; its inputs: " + known);
    }
}

}  // namespace

std::vector<TensorFacts> fix_shapes(const std::vector<ModelInput>& inputs,
                                    const LoadSettings& settings, const TryShapes& works) {
    refuse_unknown(inputs, settings.shapes, settings, "a shape");
    refuse_unknown(inputs, settings.inputs, settings, "values");
    std::vector<TensorFacts> fixed;
    std::vector<const ModelInput*> open;
    Named named;
    for (const ModelInput& input : inputs) {
        check_type(input.facts, settings);
        fixed.push_back(input.facts);
        if (const std::optional<ShapeOf> given = given_shape(input, settings)) {
            check_fits(input, *given, settings);
            fixed.back().shape = *given;
            for (std::size_t i = 0; i < given->size(); ++i) {
                if (!symbol_of(input, i).empty()) named[symbol_of(input, i)] = (*given)[i];
            }
        } else if (!input.has_rank || !is_fixed(input.facts.shape)) {
            open.push_back(&input);
            continue;
        }
        check_memory(fixed.back(), settings);
    }
    if (!open.empty()) ask_for_shapes(open, named, settings, works);
    return fixed;
}

}  // namespace edgeprof
