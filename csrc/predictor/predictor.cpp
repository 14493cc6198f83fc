#include "predictor/predictor.h"

#include <cmath>
#include <cstring>
#include <new>

#include "predictor/edgp_bytes.h"

namespace edgeprof {
namespace {

constexpr float kMaxUnitMs = 1e9F;
constexpr std::size_t kMaxTableBytes = 60 * 1024;

float softsign(float x) noexcept { return x / (1.0F + std::fabs(x)); }

}  // namespace

// What the header says before the columns.
struct CompactPredictor::Header {
    std::size_t value_bytes;
    std::size_t n_additive;
    std::size_t n_hidden;
    std::size_t n_inner;
    bool reserved;
    std::size_t space_bytes;
    std::size_t device_bytes;
    std::size_t provenance_bytes;
};

PredictorOutcome CompactPredictor::load(const std::uint8_t* data, std::size_t size) noexcept {
    PredictorOutcome outcome = read(data, size);
    if (!outcome.ok()) *this = CompactPredictor();
    return outcome;
}

PredictorOutcome CompactPredictor::read(const std::uint8_t* data, std::size_t size) noexcept {
    PredictorOutcome outcome = check_envelope(data, size, kSubnetsVersion, kMaxFileBytes);
    if (!outcome.ok()) return outcome;
    EdgpSource source(data, size - kCrcBytes);
    source.bytes(6);
    Header header{};
    header.value_bytes = source.u16();
    source.bytes(4);
    outcome = read_header(source, header);
    if (outcome.ok()) outcome = read_columns(source);
    if (outcome.ok()) outcome = read_texts(source, header);
    if (outcome.ok()) outcome = read_tensors(source, header);
    return outcome;
}

PredictorOutcome CompactPredictor::read_header(EdgpSource& source, Header& header) noexcept {
    n_columns_ = source.u16();
    header.n_additive = source.u8();
    header.n_hidden = source.u8();
    header.n_inner = source.u8();
    header.reserved = source.u8() != 0;
    header.space_bytes = source.u16();
    header.device_bytes = source.u16();
    header.provenance_bytes = source.u16();
    unit_ms_ = source.f32();
    offset_ms_ = source.f32();
    if (header.value_bytes != 2 && header.value_bytes != 4)
        return refused("has %zu bytes per value, want 2 or 4", header.value_bytes);
    if (n_columns_ < 2 || n_columns_ > kMaxColumns)
        return refused("has %zu code columns, want 2 to %zu", n_columns_, kMaxColumns);
    if (header.n_additive < 1 || header.n_additive + header.n_hidden > kMaxWidth ||
        header.n_inner > kMaxInner)
        return refused(
            "has %zu additive terms, %zu hidden inputs and %zu inner units, "
            "want 1 or more, at most %zu together, and at most %zu",
            header.n_additive, header.n_hidden, header.n_inner, kMaxWidth, kMaxInner);
    if (header.reserved || header.space_bytes < 1 || header.space_bytes > kMaxIdBytes ||
        header.device_bytes < 1 || header.device_bytes > kMaxIdBytes)
        return refused("has a malformed header; ids need 1 to %zu bytes", kMaxIdBytes);
    if (!(unit_ms_ > 0 && unit_ms_ <= kMaxUnitMs && std::fabs(offset_ms_) <= kMaxUnitMs))
        return refused("unit %g ms and offset %g ms are out of range",
                       static_cast<double>(unit_ms_), static_cast<double>(offset_ms_));
    return {};
}

PredictorOutcome CompactPredictor::read_columns(EdgpSource& source) noexcept {
    n_rows_ = 0;
    for (std::size_t column = 0; column < n_columns_; ++column) {
        const std::uint32_t values = source.u16();
        if (values < 1 || values > 256)
            return refused("has %u values in code column %zu, want 1 to 256", values, column);
        cardinalities_[column] = static_cast<std::uint16_t>(values);
        first_row_[column] = static_cast<std::uint16_t>(n_rows_);
        if (column + 1 < n_columns_) n_rows_ += values;
    }
    n_resolutions_ = cardinalities_[n_columns_ - 1];
    const std::size_t table_bytes = n_rows_ * sizeof(Row) + n_resolutions_ * sizeof(Resolution);
    if (table_bytes > kMaxTableBytes)
        return refused("needs %zu bytes for its tables, at most %zu", table_bytes, kMaxTableBytes);
    return {};
}

// The provenance is passed over: it is for hosts.
PredictorOutcome CompactPredictor::read_texts(EdgpSource& source, const Header& header) noexcept {
    const std::uint8_t* space = source.bytes(header.space_bytes);
    const std::uint8_t* device = source.bytes(header.device_bytes);
    const std::uint8_t* provenance = source.bytes(header.provenance_bytes);
    if (space == nullptr || device == nullptr || provenance == nullptr)
        return refused("is truncated: its texts end beyond the file");
    if (!is_clean_text(space, header.space_bytes) || !is_clean_text(device, header.device_bytes))
        return refused("holds control characters in its text");
    space_.fill('\0');
    device_.fill('\0');
    std::memcpy(space_.data(), space, header.space_bytes);
    std::memcpy(device_.data(), device, header.device_bytes);
    source.bytes((4 - source.position() % 4) % 4);
    return {};
}

PredictorOutcome CompactPredictor::read_tensors(EdgpSource& source, const Header& header) noexcept {
    const std::size_t n_hidden = header.n_hidden;
    const std::size_t width = header.n_additive + n_hidden;
    const std::size_t n_choices = n_rows_ - (n_columns_ - 1);
    const std::size_t n_values = n_choices * width + n_resolutions_ * (width + 1 + n_hidden) +
                                 n_hidden * header.n_inner + 2 * header.n_inner + n_hidden;
    if (n_values * header.value_bytes != source.left())
        return refused("has %zu bytes of tensors, needs %zu", source.left(),
                       n_values * header.value_bytes);
    rows_.reset(new (std::nothrow) Row[n_rows_]());
    resolutions_.reset(new (std::nothrow) Resolution[n_resolutions_]());
    if (rows_ == nullptr || resolutions_ == nullptr) return refused("no memory for its tables");
    source.set_value_bytes(header.value_bytes);
    if (!fill_tables(source, header.n_additive, n_hidden, header.n_inner))
        return refused("holds a value that is no number up to %g", static_cast<double>(kMaxValue));
    return {};
}

bool CompactPredictor::fill_tables(EdgpSource& source, std::size_t n_additive, std::size_t n_hidden,
                                   std::size_t n_inner) noexcept {
    const std::size_t width = n_additive + n_hidden;
    bool good = true;
    for (std::size_t slot = 0; slot + 1 < n_columns_; ++slot) {
        for (std::size_t choice = 1; choice < cardinalities_[slot]; ++choice)
            good &= source.values(rows_[first_row_[slot] + choice].value, width);
    }
    for (std::size_t r = 0; r < n_resolutions_; ++r)
        good &= source.values(resolutions_[r].scale.value, width);
    for (std::size_t r = 0; r < n_resolutions_; ++r) {
        // The constant goes to the first additive term, whose other lanes have none.
        good &= source.values(resolutions_[r].shift.value, 1);
        good &= source.values(resolutions_[r].shift.value + n_additive, n_hidden);
    }
    net_ = Net{};
    for (std::size_t k = 0; k < n_additive; ++k) net_.additive.value[k] = 1;
    for (std::size_t k = 0; k < n_hidden; ++k)
        good &= source.values(net_.weights[n_additive + k].value, n_inner);
    good &= source.values(net_.bias.value, n_inner);
    good &= source.values(net_.out.value, n_inner);
    good &= source.values(net_.hidden_out.value + n_additive, n_hidden);
    return good;
}

std::size_t CompactPredictor::memory_bytes() const noexcept {
    return sizeof *this + n_rows_ * sizeof(Row) + n_resolutions_ * sizeof(Resolution);
}

// The loops have constant lengths and no branch, so that the compiler keeps them in vector
// registers. Lanes beyond the model's width hold zeros and add zeros.
float CompactPredictor::predict_one(const std::uint8_t* codes) const noexcept {
    Row y{};
    const std::size_t n_slots = n_columns_ - 1;
    for (std::size_t slot = 0; slot < n_slots; ++slot) {
        const Row& row = rows_[first_row_[slot] + codes[slot]];
        for (std::size_t k = 0; k < kMaxWidth; ++k) y.value[k] += row.value[k];
    }
    const Resolution& resolution = resolutions_[codes[n_slots]];
    Row a;
    float total = 0;
    for (std::size_t k = 0; k < kMaxWidth; ++k) {
        y.value[k] = y.value[k] * resolution.scale.value[k] + resolution.shift.value[k];
        a.value[k] = softsign(y.value[k]);
        total += net_.additive.value[k] * y.value[k] + net_.hidden_out.value[k] * a.value[k];
    }
    InnerRow u = net_.bias;
    for (std::size_t k = 0; k < kMaxWidth; ++k) {
        for (std::size_t m = 0; m < kMaxInner; ++m)
            u.value[m] += a.value[k] * net_.weights[k].value[m];
    }
    for (std::size_t m = 0; m < kMaxInner; ++m) total += net_.out.value[m] * softsign(u.value[m]);
    return offset_ms_ + unit_ms_ * total;
}

bool CompactPredictor::predict_ms(const std::uint8_t* codes, std::size_t n, double* latency_ms,
                                  BadCode* bad) const noexcept {
    for (std::size_t row = 0; row < n; ++row, codes += n_columns_) {
        unsigned outside = 0;
        for (std::size_t column = 0; column < n_columns_; ++column)
            outside |= static_cast<unsigned>(codes[column] >= cardinalities_[column]);
        if (outside != 0) {
            bad->row = row;
            bad->column = 0;
            while (codes[bad->column] < cardinalities_[bad->column]) ++bad->column;
            return false;
        }
        latency_ms[row] = static_cast<double>(predict_one(codes));
    }
    return true;
}

}  // namespace edgeprof
