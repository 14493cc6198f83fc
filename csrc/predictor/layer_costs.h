// Predicts networks from the layer costs of an .edgp file (format version 2).
//
// Format: edgeprof/predictors/layers/tables_file.py; arithmetic: tables.py beside it, in double.
// load() allocates; after it nothing allocates, and nothing throws at any time. The bytes may come
// from anywhere: every field is checked before it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "predictor/outcome.h"

namespace edgeprof {

class EdgpSource;

// One layer of a network, or several equal ones. What the numbers mean stands in
// docs/predictors.md, "Layer lists".
struct LayerNumbers {
    static constexpr std::size_t kQuantities = 8;
    static constexpr std::size_t kSizes = 6;
    static const std::array<const char*, kQuantities> kQuantityNames;
    static const std::array<const char*, kSizes> kSizeNames;

    std::size_t kind = 0;  // as LayerCosts::find_kind gives it
    double count = 1;
    std::array<double, kQuantities> quantities{};
    std::array<double, kSizes> sizes{1, 1, 1, 1, 1, 1};
};

class LayerCosts {
  public:
    static constexpr std::size_t kMaxFileBytes = 128 * 1024;
    static constexpr std::size_t kMaxBases = 64;
    static constexpr std::size_t kNoKind = static_cast<std::size_t>(-1);
    static constexpr double kMaxNumber = 1e18;  // of a layer; no sum of such numbers overflows

    // Takes the bytes of a file; on refusal the predictor holds nothing.
    PredictorOutcome load(const std::uint8_t* data, std::size_t size) noexcept;

    // UTF-8, without control characters.
    std::string_view device() const noexcept { return device_; }
    // Kinds that were measured, and after them those for what was not.
    std::size_t n_kinds() const noexcept { return n_kinds_ + n_bases_; }
    // The number of a kind: of its base where it was not measured, kNoKind without a base.
    std::size_t find_kind(std::string_view name) const noexcept;
    // All memory in use, this object included.
    std::size_t memory_bytes() const noexcept;

    // Predicts one network in ms. Returns n, or the first layer whose numbers are out of range.
    std::size_t predict_ms(const LayerNumbers* layers, std::size_t n,
                           double* latency_ms) const noexcept;

  private:
    // A smooth function: points of `width` values, and the coefficient of each.
    struct Function {
        std::size_t n = 0;
        std::size_t width = 0;
        double length = 1;
        const float* position = nullptr;
        const float* coefficient = nullptr;
        double term(std::size_t point, const double* at) const noexcept;
    };
    // Sums over the layers of a network.
    struct Sums;

    PredictorOutcome read(const std::uint8_t* data, std::size_t size) noexcept;
    PredictorOutcome read_header(EdgpSource& source) noexcept;
    PredictorOutcome read_names(EdgpSource& source) noexcept;
    PredictorOutcome read_numbers(EdgpSource& source) noexcept;
    PredictorOutcome read_values(EdgpSource& source) noexcept;
    std::array<Function*, 3> functions() noexcept {
        return {&stretches_[0], &stretches_[1], &alike_};
    }
    std::size_t base_number(std::string_view kind) const noexcept;
    bool add(const LayerNumbers& layer, Sums& sums) const noexcept;

    std::size_t n_kinds_ = 0;
    std::size_t n_bases_ = 0;
    std::size_t n_columns_ = 0;
    std::array<Function, 2> stretches_{};
    Function alike_{};
    std::array<std::uint16_t, kMaxBases> column_of_base_{};
    std::string_view device_;                       // in file_
    std::unique_ptr<std::uint8_t[]> file_;          // names lie in it
    std::unique_ptr<std::string_view[]> names_;     // kinds, then bases
    std::unique_ptr<std::uint16_t[]> base_;         // of each of them
    std::unique_ptr<std::uint16_t[]> first_point_;  // of each kind and one beyond, per function
    std::unique_ptr<float[]> values_;
    std::size_t file_bytes_ = 0;
    std::size_t n_values_ = 0;
};

}  // namespace edgeprof
