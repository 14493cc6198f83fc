// Reads an .edgp file and predicts latencies: the device's side of edgeprof/predictors.
//
// Format: edgeprof/predictors/compact/edgp_file.py; arithmetic: predictor.py beside it, in float32.
// load() allocates once; after it nothing allocates, and nothing throws at any time. The bytes may
// come from anywhere: every field is checked before it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "predictor/outcome.h"

namespace edgeprof {

class EdgpSource;

// A code that is not of the space.
struct BadCode {
    std::size_t row;
    std::size_t column;
};

class CompactPredictor {
  public:
    static constexpr std::size_t kMaxFileBytes = 32 * 1024;
    static constexpr std::size_t kMaxColumns = 64;
    static constexpr std::size_t kMaxWidth = 16;
    static constexpr std::size_t kMaxInner = 8;
    static constexpr std::size_t kMaxIdBytes = 255;

    // Takes the bytes of a file; on refusal the predictor holds nothing.
    PredictorOutcome load(const std::uint8_t* data, std::size_t size) noexcept;

    // UTF-8, without control characters.
    const char* space() const noexcept { return space_.data(); }
    const char* device() const noexcept { return device_.data(); }
    // Bytes per row of codes: one per slot (0 = left out), the last the index of the resolution.
    std::size_t n_columns() const noexcept { return n_columns_; }
    std::size_t cardinality(std::size_t column) const noexcept { return cardinalities_[column]; }
    // All memory in use, this object included.
    std::size_t memory_bytes() const noexcept;

    // Predicts n rows of n_columns() codes, row after row, in ms. Returns true, or false and the
    // first bad code, with the latencies of the rows before it.
    bool predict_ms(const std::uint8_t* codes, std::size_t n, double* latency_ms,
                    BadCode* bad) const noexcept;

  private:
    // A row of the widest table there may be, so that every loop over it has a constant length.
    struct alignas(16) Row {
        float value[kMaxWidth];
    };
    // What one resolution does to the sum of rows.
    struct Resolution {
        Row scale;
        Row shift;
    };
    struct alignas(16) InnerRow {
        float value[kMaxInner];
    };
    struct Net {
        Row additive;  // 1 for an additive term, else 0
        Row hidden_out;
        InnerRow weights[kMaxWidth];
        InnerRow bias;
        InnerRow out;
    };
    struct Header;

    PredictorOutcome read(const std::uint8_t* data, std::size_t size) noexcept;
    PredictorOutcome read_header(EdgpSource& source, Header& header) noexcept;
    PredictorOutcome read_columns(EdgpSource& source) noexcept;
    PredictorOutcome read_texts(EdgpSource& source, const Header& header) noexcept;
    PredictorOutcome read_tensors(EdgpSource& source, const Header& header) noexcept;
    bool fill_tables(EdgpSource& source, std::size_t n_additive, std::size_t n_hidden,
                     std::size_t n_inner) noexcept;
    float predict_one(const std::uint8_t* codes) const noexcept;

    std::array<char, kMaxIdBytes + 1> space_{};
    std::array<char, kMaxIdBytes + 1> device_{};
    std::array<std::uint16_t, kMaxColumns> cardinalities_{};
    std::array<std::uint16_t, kMaxColumns> first_row_{};  // of each slot, in rows_
    std::size_t n_columns_ = 0;
    std::size_t n_rows_ = 0;
    std::size_t n_resolutions_ = 0;
    float unit_ms_ = 0;
    float offset_ms_ = 0;
    Net net_{};
    std::unique_ptr<Row[]> rows_;  // a zero row, then one per choice, for each slot
    std::unique_ptr<Resolution[]> resolutions_;
};

}  // namespace edgeprof
